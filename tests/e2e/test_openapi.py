"""The API does what its OpenAPI document says, whatever it is sent. `test_demo` says the same of what takes models."""

import pytest

from tests.e2e.shop import Shop
from tests.e2e.stack import Stack
from tests.e2e.walk import ENDLESS, OF_MODELS, walk


@pytest.mark.parametrize("role", ["customer", "admin"])
def test_no_answer_breaks_the_document_and_none_is_a_fault_of_the_server(stack: Stack, shop: Shop, role: str) -> None:
    walk(stack, shop.tokens[role], "--exclude-path-regex", f"{OF_MODELS}|{ENDLESS}")
