"""The gateway's own pages: documentation, health, status and metrics."""

from typing import Any

import httpx
import jsonschema_rs

from gateway.app import offline_document
from gateway.contract import Contract
from tests.gateway.everything import EverythingServer
from tests.gateway.test_rest import error_of


def test_health_is_ok_while_the_gateway_is_up(client: httpx.Client) -> None:
    response = client.get("/healthz", headers={"x-request-id": "r"})
    assert (response.status_code, response.json(), response.headers["x-request-id"]) == (200, {"status": "ok"}, "r")
    head = client.head("/healthz")
    assert (head.status_code, head.content) == (200, b"")


def test_errors_of_the_pages_have_the_shape_of_all_errors(client: httpx.Client) -> None:
    assert error_of(client.get("/docs/nowhere")) == (404, "PATH_NOT_FOUND")
    response = client.post("/healthz")
    assert error_of(response) == (405, "METHOD_NOT_ALLOWED")
    assert response.headers["allow"] == "GET"


def test_only_staff_see_which_services_are_up(client: httpx.Client, service: EverythingServer) -> None:
    assert client.get("/status").status_code == 401
    assert error_of(client.get("/status", headers={"authorization": "Bearer customer"})) == (403, "ROLE_NOT_ALLOWED")
    status = client.get("/status", headers={"authorization": "Bearer staff"}).json()
    names = [one["name"] for one in status["services"]]
    assert names == sorted(set(names))  # One entry for each process, however many services it has.
    services = {one["name"]: one for one in status["services"]}
    assert (services["jobs"]["up"], services["jobs"]["version"]) == (False, "")
    assert (services["catalog"]["up"], services["catalog"]["version"]) == (True, "1.2.3")


def test_staff_see_which_engines_the_services_reach(client: httpx.Client) -> None:
    status = client.get("/status", headers={"authorization": "Bearer staff"}).json()
    using = [service["name"] for service in status["services"] if service["up"]]
    assert using and "jobs" not in using
    assert status["engines"] == [
        {"name": "hdfs", "up": False, "used_by": using, "not_reached_by": using},
        {"name": "postgresql", "up": True, "used_by": using, "not_reached_by": []},
    ]


def test_status_counts_requests_by_service_and_leaves_out_streams(client: httpx.Client) -> None:
    def totals() -> dict[str, Any]:
        services = client.get("/status", headers={"authorization": "Bearer staff"}).json()["services"]
        return {service["name"]: service["requests"] for service in services}

    before = totals()
    assert [client.get(path).status_code for path in ("/jobs", "/jobs", "/products:watch")] == [503, 503, 501]
    after = totals()
    assert {name: after[name]["request_count"] - before[name]["request_count"] for name in ("jobs", "catalog")} == {"jobs": 2, "catalog": 0}
    assert after["jobs"]["error_count"] == before["jobs"]["error_count"] + 2
    assert after["jobs"]["seconds"] > before["jobs"]["seconds"]


def test_the_documentation_needs_no_other_host(client: httpx.Client) -> None:
    page = client.get("/docs").text
    assert "http://" not in page.replace("http://127.0.0.1", "") and "https://" not in page
    for asset in ("/swagger/swagger-ui-bundle.js", "/swagger/swagger-ui.css"):
        assert asset in page and client.get(asset).status_code == 200


def test_the_document_is_the_one_that_is_made_offline(client: httpx.Client, contract: Contract) -> None:
    assert client.get("/openapi.json").json() == offline_document(contract.files.SerializeToString())


def test_errors_and_answers_fit_their_schemas(client: httpx.Client) -> None:
    described = client.get("/openapi.json").json()

    def validator(name: str) -> Any:
        return jsonschema_rs.validator_for({"$ref": f"#/components/schemas/{name}", "components": described["components"]})

    for response in (client.get("/nowhere"), client.get("/products?page_size=a"), client.get("/jobs"), client.get("/status")):
        validator("Status").validate(response.json())
    validator("CatalogError400").validate(client.get("/v1/products?page_size=a").json())
    validator("Everything").validate(client.post("/everything", json={"small": 1, "inner": {}, "texts": ["a"]}).json())


def test_requests_are_counted_by_rule_and_status(gateway_url: str, metrics_url: str) -> None:
    httpx.get(f"{gateway_url}/everything/a")
    httpx.get(f"{gateway_url}/errors/NOT_FOUND")
    counted = httpx.get(f"{metrics_url}/metrics").text
    assert 'gateway_request_seconds_count{rule="GET /everything/{text}",status="200"}' in counted
    assert 'gateway_request_seconds_count{rule="GET /errors/{text}",status="404"}' in counted
