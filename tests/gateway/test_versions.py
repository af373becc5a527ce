"""The paths of a package under its version, which are the same calls as the bare ones."""

import re
from pathlib import Path

import httpx
import pytest

from gateway.contract import Contract
from gateway.routes import Routes
from tests.gateway.everything import EverythingServer, compiled
from tests.gateway.test_rest import error_of


def test_every_path_is_served_bare_and_under_the_version_of_its_package(contract: Contract) -> None:
    routes = Routes(contract.bindings)
    assert contract.bindings
    for binding in contract.bindings:
        path = "/" + "/".join("85123A" if segment in ("*", "**") else segment for segment in binding.template.segments)
        path += f":{binding.template.verb}" if binding.template.verb else ""
        bare, versioned = routes.find(binding.http_method, path), routes.find(binding.http_method, f"/v1{path}")
        assert bare and versioned, binding.rule
        assert (bare.binding, bare.segments, bare.prefix) == (binding, versioned.segments, "")
        assert (versioned.binding, versioned.prefix) == (binding, "/v1")


def test_a_package_without_a_version_has_bare_paths_only(tmp_path: Path) -> None:
    source = tmp_path / "plain.proto"
    source.write_text("""
        syntax = "proto3";
        package hashiramart.plain;
        import "google/api/annotations.proto";
        service PlainService {
          rpc Get(Message) returns (Message) { option (google.api.http) = {get: "/plain"}; }
        }
        message Message {}
    """)
    routes = Routes(Contract(compiled(source, tmp_path).SerializeToString()).bindings)
    assert routes.find("GET", "/plain")
    assert not routes.find("GET", "/v1/plain") and not routes.find("GET", "/plain/plain")


@pytest.mark.parametrize(
    ("path", "body"),
    [("/everything/a%2Fb?small=7", None), ("/everything", {"small": 7}), ("/everything/a:undo", {}), ("/files/a/b%2Fc", None)],
)
def test_a_call_is_the_same_under_its_version(client: httpx.Client, service: EverythingServer, path: str, body: object) -> None:
    bare, versioned = (client.request("POST" if body is not None else "GET", f"{prefix}{path}", json=body) for prefix in ("", "/v1"))
    assert (bare.status_code, versioned.status_code) == (200, 200)
    assert bare.json() == versioned.json()
    assert service.requests[-1] == service.requests[-2]


def test_a_stream_and_an_upload_are_the_same_under_their_version(client: httpx.Client) -> None:
    assert len(client.get("/v1/everything/a:watch").text.splitlines()) == 2
    assert client.post("/v1/everything:import", content=b'{"text": "a"}\n').json()["row_count"] == 1


@pytest.mark.parametrize("prefix", ["", "/v1"])
def test_a_location_has_the_prefix_of_its_request(client: httpx.Client, prefix: str) -> None:
    location = client.post(f"{prefix}/inners", json={"text": "a b"}).headers["location"]
    assert location == f"{prefix}/inners/a%20b"
    assert client.get(location).json()["text"] == "a b"


def test_a_token_is_issued_under_the_version_too(client: httpx.Client) -> None:
    form = {"grant_type": "password", "username": "ann", "password": "secret"}
    assert client.post("/v1/auth/token", data=form).json()["access_token"] == "a"
    assert client.post("/v1/auth/token", data=form | {"username": "INVALID_GRANT"}).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "path", ["/v2/everything/a", "/v0/everything/a", "/V1/everything/a", "/v1/v1/everything/a", "/v1", "/v1/", "/v1/nowhere"]
)
def test_an_unknown_version_and_an_unknown_path_in_a_known_one_are_not_found(client: httpx.Client, path: str) -> None:
    response = client.get(path)
    assert error_of(response) == (404, "PATH_NOT_FOUND")
    assert response.json()["message"] == f"nothing is at {path}"


def test_another_method_is_answered_with_those_that_the_path_has(client: httpx.Client) -> None:
    response = client.delete("/v1/kinds/week")
    assert error_of(response) == (405, "METHOD_NOT_ALLOWED")
    assert response.headers["allow"] == client.delete("/kinds/week").headers["allow"]
    assert client.options("/v1/kinds/week").headers["allow"] == client.options("/kinds/week").headers["allow"]


def test_the_gateways_own_pages_are_under_each_version_too(client: httpx.Client) -> None:
    assert client.get("/v1/healthz").json() == {"status": "ok"}
    assert client.get("/v1/status").status_code == 401
    assert error_of(client.post("/v1/healthz")) == (405, "METHOD_NOT_ALLOWED")
    assert client.get("/v1/openapi.json").json() == client.get("/openapi.json").json()


def test_a_call_is_counted_once_for_both_of_its_paths(client: httpx.Client, metrics_url: str) -> None:
    def counted() -> float:
        found = re.search(r'_count\{rule="GET /kinds/\{kind\}",status="200"\} (\S+)', httpx.get(f"{metrics_url}/metrics").text)
        return float(found[1]) if found else 0

    before = counted()
    client.get("/kinds/week")
    client.get("/v1/kinds/week")
    assert counted() == before + 2
    assert "/v1/" not in httpx.get(f"{metrics_url}/metrics").text
