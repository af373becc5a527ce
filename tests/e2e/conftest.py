"""Whole stacks, started and stopped by their commands."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.shop import Shop
from tests.e2e.stack import Stack, own_stack, running


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The services and what they depend on, which are up for the tests of a module."""
    with running(own_stack(tmp_path_factory.mktemp("stack"))) as stack:
        yield stack


@pytest.fixture(scope="module")
def shop(stack: Stack) -> Iterator[Shop]:
    """Clients of each role for that stack."""
    shop = Shop(stack)
    yield shop
    shop.close()


@pytest.fixture
def fresh_stack(tmp_path: Path) -> Iterator[Stack]:
    """A stack that has never been up."""
    stack = own_stack(tmp_path / "stack")
    yield stack
    stack.down()
