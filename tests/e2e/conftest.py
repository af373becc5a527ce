"""Whole stacks, started and stopped as their users do."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.shop import Shop
from tests.e2e.stack import Stack, own_stack, running


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The services and what they need, for the tests of a module; they are up."""
    with running(own_stack(tmp_path_factory.mktemp("stack"))) as stack:
        yield stack


@pytest.fixture(scope="module")
def shop(stack: Stack) -> Iterator[Shop]:
    """Somebody of each role, on that stack."""
    shop = Shop(stack)
    yield shop
    shop.close()


@pytest.fixture
def fresh_stack(tmp_path: Path) -> Iterator[Stack]:
    """A stack that was never up."""
    stack = own_stack(tmp_path / "stack")
    yield stack
    stack.down()
