"""The OpenAPI document of the contracts."""

import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway.app import offline_document
from gateway.contract import Binding, Contract

Json = dict[str, Any]


@pytest.fixture(scope="module")
def document(contract: Contract) -> Json:
    return offline_document(contract.files.SerializeToString())


def operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    """Each operation with its method and path."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method, path, operation


def test_signing_in_on_the_documentation_page_goes_to_the_token_endpoint(document: Json) -> None:
    assert document["components"]["securitySchemes"]["token"]["flows"]["password"]["tokenUrl"] == "/auth/token"
    body = document["paths"]["/auth/token"]["post"]["requestBody"]["content"]
    assert set(body) == {"application/json", "application/x-www-form-urlencoded"}


def test_every_binding_is_documented(document: Json, contract: Contract) -> None:
    documented = {method for path in document["paths"].values() for method in path}
    assert documented <= {"get", "put", "post", "delete", "patch"}
    ours = [operation for path in document["paths"].values() for operation in path.values() if "Gateway" not in operation["tags"]]
    assert len(ours) == len(contract.bindings)
    every = [operation["operationId"] for _, _, operation in operations(document)]
    assert all(len(operation["tags"]) == 1 and operation["summary"] for operation in ours if "Everything" not in operation["operationId"])
    assert len({name.replace("_", "").lower() for name in every}) == len(every)
    assert not [name for name in every if name.endswith("_")]
    assert {"RecommenderService_GetModel", "RecommenderService_GetModelVersion", "Gateway_GetHealth", "Gateway_GetStatus"} <= set(every)


def test_a_contracts_comments_rules_and_access_are_in_its_document(document: Json) -> None:
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
    assert create["security"] == [{"token": []}] and document["paths"]["/products"]["get"]["security"] == [{}, {"token": []}]
    assert {"Idempotency-Key", "request_id"} <= {parameter["name"] for parameter in create["parameters"]}
    assert "Location" in create["responses"]["201"]["headers"]
    watch = document["paths"]["/products:watch"]["get"]["responses"]["200"]["content"]
    assert list(watch) == ["text/event-stream", "application/x-ndjson"]
    assert {media["schema"]["$ref"] for media in watch.values()} == {"#/components/schemas/ProductChange"}
    rows = document["paths"]["/products:import"]["post"]["requestBody"]["content"]["application/x-ndjson"]["schema"]
    assert rows == {"type": "array", "items": {"$ref": "#/components/schemas/ProductInput"}}


def test_every_reference_leads_somewhere_and_every_schema_is_one(document: Json) -> None:
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


def test_every_field_of_an_answer_outside_of_a_oneof_is_required(document: Json, contract: Contract) -> None:
    answered = {binding.method.descriptor.output_type for binding in contract.bindings if binding.method.descriptor.output_type.fields}
    for message in answered:
        schema = document["components"]["schemas"][message.name]
        if "oneOf" in schema:
            assert [one["required"] for one in schema["oneOf"]] == [[field.name] for field in message.oneofs[0].fields]
        else:
            assert schema.get("required", []) == [field.name for field in message.fields if not field.containing_oneof]
    assert "oneOf" in document["components"]["schemas"]["JobEvent"]


def test_a_text_that_may_be_empty_is_one_type(document: Json) -> None:
    id = document["components"]["schemas"]["ProductInput"]["properties"]["id"]
    assert id["type"] == "string" and "anyOf" not in id
    validate = jsonschema_rs.validator_for(id).is_valid
    assert [validate(text) for text in ("", "85123A", "a b")] == [True, True, False]


def test_a_body_with_what_changes_has_a_name_and_requires_nothing(document: Json) -> None:
    for path, name in (("/products/{id}", "ProductPatch"), ("/users/{id}", "UserPatch")):
        body = document["paths"][path]["patch"]["requestBody"]["content"]["application/json"]["schema"]
        assert body == {"$ref": f"#/components/schemas/{name}"}
        assert "required" not in document["components"]["schemas"][name]


def test_errors_are_typed_by_their_details_and_reasons(document: Json) -> None:
    schemas = document["components"]["schemas"]
    assert {"PRODUCT_NOT_FOUND", "MALFORMED_REQUEST", "JOB_ENDED", "NO_MODEL"} <= set(schemas["ErrorReason"]["enum"])
    for name, reason, valid in (
        ("Status", "NO_SUCH_REASON", False), ("Status", "JOB_ENDED", True),
        ("CatalogError404", "JOB_ENDED", False), ("CatalogError404", "PRODUCT_NOT_FOUND", True),
        ("CatalogError", "JOB_ENDED", False), ("CatalogError", "PATH_NOT_FOUND", True),
    ):  # fmt: skip
        info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "hashiramart", "metadata": {}}
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        assert jsonschema_rs.validator_for(schema).is_valid({"code": 5, "message": "", "details": [info]}) is valid, (name, reason)


def test_every_operation_says_with_which_reasons_it_fails(document: Json, contract: Contract) -> None:
    schemas = document["components"]["schemas"]
    every = set(schemas["ErrorReason"]["enum"])
    for method, path, operation in operations(document):
        errors = {status: response for status, response in operation["responses"].items() if not status.startswith("2")}
        assert "default" in errors, path
        for status, response in errors.items():
            schema = response["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
            if path == "/auth/token":
                reasons = schemas[schema]["properties"]["error"]["enum"]
            elif schema == "Status":
                assert "Gateway" in operation["tags"], path
                continue
            else:
                reasons = schemas[schema]["properties"]["details"]["items"]["oneOf"][0]["properties"]["reason"]["enum"]
                assert set(reasons) <= every
            assert reasons and len(set(reasons)) == len(reasons)
            assert status == "default" or response["description"] == ", ".join(f"`{reason}`" for reason in reasons), (method, path)
    found = document["paths"]["/products/{id}"]["get"]["responses"]["404"]
    assert found["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/CatalogError404"}


def test_errors_of_the_token_endpoint_have_the_codes_of_oauth(document: Json) -> None:
    schemas = document["components"]["schemas"]
    assert "invalid_grant" in schemas["OAuthError400"]["properties"]["error"]["enum"]
    assert "invalid_client" in schemas["OAuthError401"]["properties"]["error"]["enum"]
    assert schemas["OAuthError503"]["properties"]["error"]["enum"] == ["temporarily_unavailable"]


def test_every_operation_has_an_example_that_fits_of_what_is_sent_and_answered(document: Json) -> None:
    for method, path, operation in operations(document):
        sent = operation.get("requestBody", {}).get("content", {})
        answered = next(response["content"] for status, response in operation["responses"].items() if status.startswith("2"))
        required = [parameter for parameter in operation.get("parameters", ()) if parameter["required"]]
        optional = [parameter for parameter in operation.get("parameters", ()) if "example" in parameter and not parameter["required"]]
        for described in (*required, *optional, *sent.values(), *answered.values()):
            schema = described["schema"] | {"components": document["components"]}
            try:
                jsonschema_rs.validator_for(schema).validate(described["example"])
            except (KeyError, ValueError) as error:
                raise AssertionError(f"{method} {path}: {described.get('name', 'body')}: {error}") from None


def test_texts_that_name_something_have_an_example_in_the_contract(document: Json) -> None:
    """An id, a name or a code that is empty would tell a reader nothing."""
    product = document["paths"]["/products/{id}"]["get"]["responses"]["200"]["content"]["application/json"]["example"]
    assert [name for name, value in product.items() if value in ("", 0)] in ([], ["etag"])
    assert product["delete_time"] is None
    shown = {parameter["name"]: parameter.get("example") for parameter in document["paths"]["/forecasts/sales"]["get"]["parameters"]}
    assert (shown["product_id"], shown["category"], shown["country"]) == (product["id"], None, None)  # one of a choice
    change = document["paths"]["/products/{id}"]["patch"]["requestBody"]["content"]["application/json"]["example"]
    assert len(change) == 1 and "id" not in change


def test_a_read_by_post_asks_for_the_same_as_its_get(document: Json, contract: Contract) -> None:
    by_post = [
        (method, [binding for binding in contract.bindings if binding.method is method])
        for method in contract.methods
        if method.options.options.idempotency_level == method.options.options.NO_SIDE_EFFECTS
        and any(binding.http_method == "POST" and binding.method is method for binding in contract.bindings)
    ]
    assert by_post
    for method, bindings in by_post:
        get, post = bindings
        assert (get.http_method, post.http_method, post.body) == ("GET", "POST", "*"), method.full_name
        assert get.template.variables == post.template.variables
        sent, asked = (document["paths"][path(binding)][binding.http_method.lower()] for binding in (post, get))
        assert "200" in sent["responses"]
        assert sent["parameters"] == [parameter for parameter in asked["parameters"] if parameter["in"] == "path"]


def path(binding: Binding) -> str:
    """A path as the document has it."""
    return re.sub(r"\{(?:\w+\.)*(\w+)\}", r"{\1}", binding.template.text)


def test_the_document_is_valid_openapi(document: Json) -> None:
    OpenAPIV31SpecValidator(document).validate()


def test_servers_are_the_version_and_the_bare_paths(document: Json) -> None:
    assert [server["url"] for server in document["servers"]] == ["/v1", "/"]
    assert not [path for path in document["paths"] if path.startswith("/v1")]


def test_what_is_not_public_needs_a_token(document: Json) -> None:
    assert document["components"]["securitySchemes"]["token"]["type"] == "oauth2"
    secured = {f"{method} {path}" for method, path, operation in operations(document) if operation.get("security") == [{"token": []}]}
    public = {
        f"{method} {path}" for method, path, operation in operations(document) if "Who may call: anyone, " in operation["description"]
    }
    assert {"get /users/me", "get /status", "get /jobs/{id}:watch"} <= secured and {"get /products", "post /auth/token"} <= public
    assert not secured & public
