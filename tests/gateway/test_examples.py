"""The examples of the OpenAPI document, sent to the gateway: services accept them by the rules of their contracts."""

import json

import httpx
import protovalidate
import pytest

from gateway.app import offline_document
from gateway.settings import ROOT
from tests.gateway.access_tokens import unsigned_token
from tests.gateway.examples import Example, examples
from tests.gateway.referee import Backend

DOCUMENT = offline_document((ROOT / "gen" / "descriptors.binpb").read_bytes())
EXAMPLES = list(examples(DOCUMENT))


@pytest.mark.parametrize("example", EXAMPLES, ids=[example.name for example in EXAMPLES])
def test_an_example_is_a_request_that_keeps_the_rules(backend: tuple[Backend, str], example: Example) -> None:
    service, url = backend
    service.responses, service.error, service.calls = [], None, []
    headers = {"authorization": unsigned_token()} | ({"content-type": example.content_type} if example.content_type else {})
    response = httpx.request(example.http_method, url + example.target, content=example.body, headers=headers, timeout=20)
    assert response.status_code in (200, 201), response.text
    (call,) = service.calls
    for request in call.requests:
        protovalidate.validate(request)
        # An example that left all fields at their defaults would show nothing.
        assert request.ListFields() or example.body in (None, b"{}")


def test_the_example_of_an_answer_is_what_the_gateway_writes(backend: tuple[Backend, str]) -> None:
    """Field by field, so that no example has what an answer would not."""
    _, url = backend
    answered = httpx.post(f"{url}/products", json={"name": "Mug"}, headers={"authorization": unsigned_token()}, timeout=20).json()
    documented = DOCUMENT["paths"]["/products"]["post"]["responses"]["201"]["content"]["application/json"]["example"]
    assert list(json.loads(json.dumps(documented))) == list(answered)
