"""Chromium, and what a walk through the console looks for on each page."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect, sync_playwright

from stack.console import FOLDER

# Without these, a Chromium of root does not start, and one without a network goes on looking for its maker's hosts.
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
DESKTOP: ViewportSize = {"width": 1440, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
AXE = FOLDER / "node_modules" / "axe-core" / "axe.min.js"
TIMEOUT_MS = 30_000
expect.set_options(timeout=TIMEOUT_MS)
# The schemes, with the rules to look for in each; without any, all of them.
SCHEMES: dict[Literal["light", "dark"], tuple[str, ...]] = {"light": (), "dark": ("color-contrast",)}


@contextmanager
def browser() -> Iterator[Browser]:
    """The machine's Chromium, without a window."""
    executable = shutil.which("chromium")
    assert executable, "There is no chromium on PATH: python3 -m stack.install tests installs it."
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=executable, args=OPTIONS)
        try:
            yield running
        finally:
            running.close()


class Console:
    """A browser's tab with the console. It notes errors of its pages and requests to other hosts."""

    def __init__(self, context: BrowserContext, url: str, pictures: Path) -> None:
        self.context, self.url, self._pictures = context, url, pictures
        self.page: Page = context.new_page()
        self.page.set_default_timeout(TIMEOUT_MS)
        self.problems: list[str] = []
        self.page.on("console", lambda message: self.problems.append(message.text) if "Content Security Policy" in message.text else None)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", lambda request: None if request.url.startswith((url, "data:")) else self.problems.append(request.url))

    def open(self, path: str, heading: str) -> None:
        """Opens a page by its address, and waits until it is loaded."""
        self.page.goto(f"{self.url}/console{path}")
        self.settle(heading)

    def visit(self, path: str, heading: str) -> None:
        """Goes to a page with another heading than the present one's as a link does, which loads nothing anew."""
        self.page.evaluate("(path) => history.pushState(null, '', path)", f"/console{path}")
        self.settle(heading)

    def settle(self, heading: str) -> None:
        """Waits until the page with this heading has nothing more to load."""
        self.page.get_by_role("heading", level=1, name=heading).wait_for()
        expect(self.page.locator("[aria-busy=true]")).to_have_count(0)

    def sign_in(self, email: str, password: str) -> None:
        self.page.goto(f"{self.url}/console/")
        self.page.get_by_label("E-mail").fill(email)
        self.page.locator("input[autocomplete=current-password]").fill(password)
        self.page.get_by_role("button", name="Sign in").click()
        self.settle("Products")

    def picture(self, name: str) -> None:
        self._pictures.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=self._pictures / f"{name}.png", animations="disabled")

    def violations_by_scheme(self, name: str) -> list[str]:
        """What axe finds in the light scheme and in the dark one, which changes nothing but colours. Takes a picture of each."""
        found = []
        for scheme, rules in SCHEMES.items():
            self.page.emulate_media(color_scheme=scheme)
            expect(self.page.locator("html")).to_have_attribute("data-mantine-color-scheme", scheme)
            # A picture ends all transitions of colours.
            self.picture(f"{name} {scheme}")
            found += [f"{scheme} {violation}" for violation in self.violations(*rules)]
        return found

    def violations(self, *rules: str) -> list[str]:
        """What axe finds on the page by these rules, or by all of them: the rule, and the elements that break it."""
        if not self.page.evaluate("typeof axe === 'object'"):
            self.page.evaluate(AXE.read_text())
        found = self.page.evaluate(
            """(rules) => axe
            .run({ resultTypes: ["violations"], selectors: false, preload: false, ...(rules.length && { runOnly: rules }) })
            .then(({ violations }) => violations.map((v) => [v.id, v.nodes.map((n) => n.html.slice(0, 160))]))""",
            rules,
        )
        return [f"{rule}: {nodes}" for rule, nodes in found]

    def scrolls_sideways(self) -> bool:
        wide: bool = self.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
        return wide
