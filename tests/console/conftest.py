"""A stack with small models, and a browser on its console."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext

from stack import console
from tests.console import shop
from tests.console.browser import DESKTOP, Console, browser
from tests.e2e.stack import Stack, own_stack, running


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The services, which serve small models, and the console."""
    folder = tmp_path_factory.mktemp("console")
    shop.save_models(folder, tmp_path_factory.mktemp("sales"))
    assert console.build() == ""
    # Its ports are chosen last, so that they are still free when it starts.
    with running(own_stack(folder)) as stack:
        shop.fill(stack)
        yield stack


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as running:
        yield running


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of screenshots."""
    return tmp_path_factory.mktemp("pictures")


@pytest.fixture(scope="module")
def window(stack: Stack, chromium: Browser, pictures: Path) -> Iterator[BrowserContext]:
    """A desktop's window that is signed in."""
    context = chromium.new_context(viewport=DESKTOP, locale="en-GB")
    tab = Console(context, stack.rest, pictures)
    tab.sign_in(shop.EMAIL, shop.PASSWORD)
    tab.page.close()
    yield context
    context.close()


@pytest.fixture
def desktop(window: BrowserContext, stack: Stack, pictures: Path) -> Iterator[Console]:
    """A tab of its own in the desktop's window, with nothing open."""
    tab = Console(window, stack.rest, pictures)
    yield tab
    tab.page.close()
    assert tab.problems == []
