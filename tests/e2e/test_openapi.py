"""The REST API conforms to its OpenAPI document. `test_demo` checks the paths that need models."""

import pytest

from tests.e2e.shop import Shop
from tests.e2e.stack import Stack
from tests.e2e.walk import ALL_PHASES, ENDLESS, OF_A_FURTHER_ROLE, OF_MODELS, OF_THE_LAKE, walk


@pytest.mark.parametrize("role, phases", [("customer", OF_A_FURTHER_ROLE), ("admin", ALL_PHASES)])
def test_responses_conform_to_the_document_without_server_errors(stack: Stack, shop: Shop, role: str, phases: str) -> None:
    walk(stack, shop.tokens[role], "--exclude-path-regex", f"{OF_MODELS}|{OF_THE_LAKE}|{ENDLESS}", phases=phases)
