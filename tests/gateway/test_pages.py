"""The gateway's own pages: documentation, health, status and metrics."""

from typing import Any

import httpx
import jsonschema_rs
import pytest

from gateway.contract import Contract
from tests.gateway.everything import EverythingServer
from tests.gateway.test_rest import error_of


@pytest.fixture(scope="module")
def document(gateway_url: str) -> dict[str, Any]:
    described: dict[str, Any] = httpx.get(f"{gateway_url}/openapi.json", timeout=20).json()
    return described


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
    services = {one.pop("name"): one for one in status["services"]}
    assert services["jobs"] == {"up": False, "version": ""}
    assert services["catalog"] == {"up": True, "version": "1.2.3"}


def test_the_documentation_needs_no_other_host(client: httpx.Client) -> None:
    page = client.get("/docs").text
    assert "http://" not in page.replace("http://127.0.0.1", "") and "https://" not in page
    for asset in ("/swagger/swagger-ui-bundle.js", "/swagger/swagger-ui.css"):
        assert asset in page and client.get(asset).status_code == 200


def test_signing_in_on_the_documentation_page_goes_to_the_token_endpoint(document: dict[str, Any]) -> None:
    assert document["components"]["securitySchemes"]["token"]["flows"]["password"]["tokenUrl"] == "/auth/token"
    body = document["paths"]["/auth/token"]["post"]["requestBody"]["content"]
    assert set(body) == {"application/json", "application/x-www-form-urlencoded"}


def test_every_binding_is_documented(document: dict[str, Any], contract: Contract) -> None:
    documented = {method for path in document["paths"].values() for method in path}
    assert documented <= {"get", "put", "post", "delete", "patch"}
    ours = [operation for path in document["paths"].values() for operation in path.values() if "Gateway" not in operation["tags"]]
    assert len(ours) == len(contract.bindings)
    assert len({operation["operationId"] for operation in ours}) == len(ours)


def test_a_contracts_comments_rules_and_access_are_in_its_document(document: dict[str, Any]) -> None:
    product = document["components"]["schemas"]["Product"]
    assert product["description"] == "Something that the shop sells."
    assert product["required"] == ["name"]
    properties = product["properties"]
    assert properties["price_cents"]["minimum"] == 0 and properties["price_cents"]["maximum"] == 2**31 - 1
    assert properties["create_time"] == {
        "type": ["string", "null"], "format": "date-time", "description": "When the product was created.", "readOnly": True,
    }  # fmt: skip
    create = document["paths"]["/products"]["post"]
    assert create["security"] == [{"token": []}] and "security" not in document["paths"]["/products"]["get"]
    assert {"Idempotency-Key", "request_id"} <= {parameter["name"] for parameter in create["parameters"]}
    assert "Location" in create["responses"]["201"]["headers"]
    watch = document["paths"]["/products:watch"]["get"]["responses"]["200"]["content"]
    assert set(watch) == {"application/x-ndjson", "text/event-stream"}


def test_every_reference_leads_somewhere_and_every_schema_is_one(document: dict[str, Any]) -> None:
    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            return ([value["$ref"]] if "$ref" in value else []) + [one for inner in value.values() for one in references(inner)]
        return [one for inner in value for one in references(inner)] if isinstance(value, list) else []

    for reference in references(document):
        place: Any = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]
    for schema in document["components"]["schemas"].values():
        jsonschema_rs.meta.validate(schema | {"$schema": "https://json-schema.org/draft/2020-12/schema"})


def test_an_answer_fits_its_schema(client: httpx.Client, document: dict[str, Any]) -> None:
    schema = {"$ref": "#/components/schemas/Everything", "components": document["components"]}
    jsonschema_rs.validator_for(schema).validate(client.post("/everything", json={"small": 1, "inner": {}, "texts": ["a"]}).json())


def test_requests_are_counted_by_rule_and_status(gateway_url: str, metrics_url: str) -> None:
    httpx.get(f"{gateway_url}/everything/a")
    httpx.get(f"{gateway_url}/errors/NOT_FOUND")
    counted = httpx.get(f"{metrics_url}/metrics").text
    assert 'gateway_request_seconds_count{rule="GET /everything/{text}",status="200"}' in counted
    assert 'gateway_request_seconds_count{rule="GET /errors/{text}",status="404"}' in counted
