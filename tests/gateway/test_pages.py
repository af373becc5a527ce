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
    every = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len({name.replace("_", "").lower() for name in every}) == len(every)
    assert not [name for name in every if name.endswith("_")]
    assert {"RecommenderService_GetModel", "RecommenderService_GetModelVersion", "Gateway_GetHealth", "Gateway_GetStatus"} <= set(every)


def test_a_contracts_comments_rules_and_access_are_in_its_document(document: dict[str, Any]) -> None:
    answered, sent = document["components"]["schemas"]["Product"], document["components"]["schemas"]["ProductInput"]
    assert answered["description"] == sent["description"] == "Something that the shop sells."
    assert sent["required"] == ["name"]
    for properties in (answered["properties"], sent["properties"]):
        assert properties["price_cents"]["minimum"] == 0 and properties["price_cents"]["maximum"] == 2**31 - 1
    assert answered["properties"]["create_time"] == {
        "type": ["string", "null"], "format": "date-time", "description": "When the product was created.",
    }  # fmt: skip
    assert "create_time" not in sent["properties"]
    create = document["paths"]["/products"]["post"]
    assert create["security"] == [{"token": []}] and "security" not in document["paths"]["/products"]["get"]
    assert {"Idempotency-Key", "request_id"} <= {parameter["name"] for parameter in create["parameters"]}
    assert "Location" in create["responses"]["201"]["headers"]
    watch = document["paths"]["/products:watch"]["get"]["responses"]["200"]["content"]
    assert list(watch) == ["text/event-stream", "application/x-ndjson"]
    assert {media["schema"]["$ref"] for media in watch.values()} == {"#/components/schemas/ProductChange"}
    rows = document["paths"]["/products:import"]["post"]["requestBody"]["content"]["application/x-ndjson"]["schema"]
    assert rows == {"type": "array", "items": {"$ref": "#/components/schemas/ProductInput"}}


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


def test_every_field_of_an_answer_outside_of_a_oneof_is_required(document: dict[str, Any], contract: Contract) -> None:
    answered = {binding.method.descriptor.output_type for binding in contract.bindings if binding.method.descriptor.output_type.fields}
    for message in answered:
        schema = document["components"]["schemas"][message.name]
        if "oneOf" in schema:
            assert [one["required"] for one in schema["oneOf"]] == [[field.name] for field in message.oneofs[0].fields]
        else:
            assert schema.get("required", []) == [field.name for field in message.fields if not field.containing_oneof]
    assert "oneOf" in document["components"]["schemas"]["JobEvent"]


def test_a_text_that_may_be_empty_is_one_type(document: dict[str, Any]) -> None:
    id = document["components"]["schemas"]["ProductInput"]["properties"]["id"]
    assert id["type"] == "string" and "anyOf" not in id
    validate = jsonschema_rs.validator_for(id).is_valid
    assert [validate(text) for text in ("", "85123A", "a b")] == [True, True, False]


def test_a_body_with_what_changes_has_a_name_and_requires_nothing(document: dict[str, Any]) -> None:
    for path, name in (("/products/{id}", "ProductPatch"), ("/users/{id}", "UserPatch")):
        body = document["paths"][path]["patch"]["requestBody"]["content"]["application/json"]["schema"]
        assert body == {"$ref": f"#/components/schemas/{name}"}
        assert "required" not in document["components"]["schemas"][name]


def test_errors_are_typed_by_their_details_and_reasons(client: httpx.Client, document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert {"PRODUCT_NOT_FOUND", "MALFORMED_REQUEST", "JOB_ENDED", "NO_MODEL"} <= set(schemas["ErrorReason"]["enum"])
    status = jsonschema_rs.validator_for({"$ref": "#/components/schemas/Status", "components": document["components"]})
    for response in (client.get("/nowhere"), client.get("/products?page_size=a"), client.get("/jobs"), client.get("/status")):
        status.validate(response.json())
    details = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "NO_SUCH_REASON", "domain": "hashiramart", "metadata": {}}
    assert not status.is_valid({"code": 5, "message": "", "details": [details]})
    responses = document["paths"]["/products/{id}"]["get"]["responses"]
    assert "`PRODUCT_NOT_FOUND`" in responses["404"]["description"] and "default" in responses
    token = document["paths"]["/auth/token"]["post"]["responses"]["400"]["content"]["application/json"]["schema"]
    assert token == {"$ref": "#/components/schemas/OAuthError"}
    assert "invalid_grant" in schemas["OAuthError"]["properties"]["error"]["enum"]


def test_examples_fit_their_schemas(document: dict[str, Any]) -> None:
    found = 0
    for path in document["paths"].values():
        for operation in path.values():
            media = operation.get("requestBody", {}).get("content", {}).values()
            for described in (*operation.get("parameters", ()), *media):
                if "example" in described:
                    schema = described["schema"] | {"components": document["components"]}
                    jsonschema_rs.validator_for(schema).validate(described["example"])
                    found += 1
    assert found > 30


def test_an_answer_fits_its_schema(client: httpx.Client, document: dict[str, Any]) -> None:
    schema = {"$ref": "#/components/schemas/Everything", "components": document["components"]}
    jsonschema_rs.validator_for(schema).validate(client.post("/everything", json={"small": 1, "inner": {}, "texts": ["a"]}).json())


def test_requests_are_counted_by_rule_and_status(gateway_url: str, metrics_url: str) -> None:
    httpx.get(f"{gateway_url}/everything/a")
    httpx.get(f"{gateway_url}/errors/NOT_FOUND")
    counted = httpx.get(f"{metrics_url}/metrics").text
    assert 'gateway_request_seconds_count{rule="GET /everything/{text}",status="200"}' in counted
    assert 'gateway_request_seconds_count{rule="GET /errors/{text}",status="404"}' in counted
