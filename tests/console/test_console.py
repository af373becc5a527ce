"""The console as its users walk through it, in a browser, on a stack without a model."""

import gzip
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from stack import console
from tests.console.browser import DESKTOP, PHONE, Console, browser
from tests.e2e.stack import Stack, own_stack, running

pytestmark = pytest.mark.engine

EMAIL, PASSWORD = "boss@example.com", "a password of the boss"
START_BYTES = 400_000
# Pages that need neither a model nor the lake, with their headings.
PAGES = {
    "/products": "Products",
    "/products/new": "New product",
    "/products/import": "Import products",
    "/recommendations": "Recommendations",
    "/forecasts": "Forecasts",
    "/jobs": "Jobs",
    "/models": "Models",
    "/data": "Data",
    "/services": "Services",
    "/audit": "Audit log",
    "/account": "Your account",
    "/nowhere": "Page not found",
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    if not shutil.which("chromium"):
        pytest.skip("there is no browser: no chromium on PATH")
    if problem := console.CONSOLE.problem():
        pytest.skip(f"the console cannot be built: {problem}")
    with running(own_stack(tmp_path_factory.mktemp("console"))) as stack:
        admin = [sys.executable, "-m", "services.auth.admin", "create-admin", "--email", EMAIL]
        assert stack.run("run", "auth", *admin, text=f"{PASSWORD}\n").returncode == 0
        with signed_in(stack) as http:
            rows = [
                f'{{"id": "P{number:03}", "name": "Mug {number}", "category": "Kitchen", "price_cents": {100 + number}}}'
                for number in range(130)
            ]
            http.post(
                "/products:import", content="\n".join([*rows, '{"id": "T1", "name": "Red teapot", "price_cents": 1250, "stock": 3}'])
            ).raise_for_status()
        yield stack


@pytest.fixture(scope="module")
def chromium(stack: Stack) -> Iterator[Browser]:
    with browser() as running:
        yield running


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go: the folder `CONSOLE_PICTURES`, if that is set."""
    return Path(os.environ.get("CONSOLE_PICTURES") or tmp_path_factory.mktemp("pictures"))


@pytest.fixture
def desktop(stack: Stack, chromium: Browser, pictures: Path) -> Iterator[Console]:
    context = chromium.new_context(viewport={"width": DESKTOP[0], "height": DESKTOP[1]}, locale="en-GB")
    tab = Console(context, stack.rest, pictures)
    tab.sign_in(EMAIL, PASSWORD)
    yield tab
    context.close()
    assert tab.problems == []


def signed_in(stack: Stack) -> httpx.Client:
    http = httpx.Client(base_url=stack.rest, timeout=30)
    token = http.post("/auth/token", data={"grant_type": "password", "username": EMAIL, "password": PASSWORD}).raise_for_status().json()
    http.headers["authorization"] = f"Bearer {token['access_token']}"
    return http


@pytest.mark.parametrize("size, scheme", [(DESKTOP, "light"), (PHONE, "dark")], ids=["desktop light", "phone dark"])
def test_every_page_has_a_title_and_is_accessible(
    stack: Stack, chromium: Browser, pictures: Path, size: tuple[int, int], scheme: str
) -> None:
    context = chromium.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, locale="en-GB")  # type: ignore[arg-type]
    tab = Console(context, stack.rest, pictures)
    tab.page.goto(f"{stack.rest}/console/")
    tab.page.get_by_label("E-mail").wait_for()
    found = {"sign-in": tab.violations()}
    tab.picture(f"sign-in-{scheme}")
    tab.sign_in(EMAIL, PASSWORD)
    for path, heading in PAGES.items():
        tab.open(path, heading)
        assert tab.page.title() == f"{heading} · HashiraMart"
        found[path] = tab.violations() + (["it scrolls sideways"] if tab.scrolls_sideways() else [])
        tab.picture(f"{path.strip('/').replace('/', '-')}-{scheme}")
    context.close()
    assert {page: violations for page, violations in found.items() if violations} == {}
    assert tab.problems == []


def test_a_browser_at_the_root_is_led_to_the_console_and_a_program_is_not(stack: Stack) -> None:
    led = httpx.get(stack.rest, headers={"accept": "text/html"})
    assert (led.status_code, led.headers["location"]) == (307, "/console/")
    assert httpx.get(stack.rest).json()["details"][0]["reason"] == "PATH_NOT_FOUND"


def test_assets_are_cached_for_good_and_the_page_is_not_and_allows_no_other_source(stack: Stack) -> None:
    page = httpx.get(f"{stack.rest}/console/products")
    assert page.headers["cache-control"] == "no-store"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
    asset = next(part.split('"')[0] for part in page.text.split('src="')[1:])
    assert "immutable" in httpx.get(f"{stack.rest}{asset}").headers["cache-control"]
    assert httpx.get(f"{stack.rest}/console/assets/nothing.js").status_code == 404
    assert httpx.get(f"{stack.rest}/console/assets/..%2Findex.html").status_code == 404


def test_the_start_loads_little(stack: Stack) -> None:
    page = httpx.get(f"{stack.rest}/console/").text
    scripts = [part.split('"')[0] for part in page.replace('href="', 'src="').split('src="')[1:] if part.split('"')[0].endswith(".js")]
    assert sum(len(gzip.compress(httpx.get(f"{stack.rest}{script}").content)) for script in scripts) < START_BYTES


def test_only_the_console_s_own_page_can_use_its_cookie(stack: Stack) -> None:
    with httpx.Client(base_url=stack.rest, auth=(EMAIL, PASSWORD)) as http:
        assert http.post("/console/session").status_code == 403
        assert http.post("/console/session", headers={"x-console": "1", "sec-fetch-site": "cross-site"}).status_code == 403
        signed = http.post("/console/session", headers={"x-console": "1"})
        assert set(signed.json()) == {"access_token", "expires_in"}
        cookie = signed.headers["set-cookie"].lower()
        assert all(part in cookie for part in ("httponly", "samesite=strict", "path=/console/session"))
    with httpx.Client(base_url=stack.rest, cookies=http.cookies) as http:
        assert http.post("/console/session/refresh").status_code == 403
        assert http.post("/console/session/refresh", headers={"x-console": "1"}).status_code == 200
        assert http.delete("/console/session", headers={"x-console": "1"}).status_code == 200
        assert http.post("/console/session/refresh", headers={"x-console": "1"}).status_code == 401


def test_a_wrong_password_is_said_in_words_and_a_sign_in_outlives_a_reload(stack: Stack, chromium: Browser, pictures: Path) -> None:
    context = chromium.new_context(locale="en-GB")
    tab = Console(context, stack.rest, pictures)
    tab.page.goto(f"{stack.rest}/console/products?search=teapot")
    tab.page.get_by_label("E-mail").fill(EMAIL)
    tab.page.locator("input[autocomplete=current-password]").fill("wrong")
    tab.page.get_by_role("button", name="Sign in").click()
    expect(tab.page.get_by_role("alert")).to_contain_text("E-mail or password is wrong")
    tab.page.locator("input[autocomplete=current-password]").fill(PASSWORD)
    tab.page.keyboard.press("Enter")
    expect(tab.page.get_by_role("link", name="Red teapot")).to_be_visible()
    assert tab.page.evaluate("[localStorage.length, document.cookie]") in ([0, ""], [1, ""])
    tab.page.reload()
    expect(tab.page.get_by_role("link", name="Red teapot")).to_be_visible()
    tab.page.get_by_role("button", name="Account").click()
    tab.page.get_by_role("menuitem", name="Sign out").click()
    tab.page.get_by_label("E-mail").wait_for()
    tab.page.reload()
    tab.page.get_by_label("E-mail").wait_for()
    context.close()


def test_a_search_as_one_types_is_in_the_address_and_a_long_list_scrolls(desktop: Console) -> None:
    page = desktop.page
    page.get_by_label("Search products").press_sequentially("teapot")
    expect(page.get_by_role("link", name="Red teapot")).to_be_visible()
    expect(page.get_by_role("link", name="Mug 1", exact=True)).to_be_hidden()
    page.wait_for_url("**/products?search=teapot")
    page.get_by_role("button", name="Clear the search").click()
    desktop.open("/products?order=name", "Products")
    page.mouse.move(640, 500)
    while not page.get_by_role("link", name="Red teapot").is_visible():
        page.mouse.wheel(0, 800)
        page.wait_for_timeout(50)


def test_a_colleague_s_change_is_shown_and_not_overwritten(stack: Stack, desktop: Console) -> None:
    desktop.open("/products/P001", "Mug 1")
    with signed_in(stack) as colleague:
        colleague.patch("/products/P001", json={"price_cents": 777}).raise_for_status()
    page = desktop.page
    page.get_by_label("Name").fill("Blue mug")
    page.get_by_role("button", name="Save", exact=True).click()
    conflict = page.get_by_role("alert")
    expect(conflict).to_contain_text("Somebody else has changed this product")
    expect(conflict).to_contain_text("7.77")
    desktop.picture("conflict")
    assert desktop.violations() == []
    conflict.get_by_role("button", name="Take theirs").click()
    expect(page.get_by_label("Price")).to_have_value("7.77")
    page.get_by_label("Name").fill("Blue mug")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading", level=1, name="Blue mug")).to_be_visible()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Undelete").click()
    expect(page.get_by_role("button", name="Delete")).to_be_visible()
    with signed_in(stack) as colleague:
        now = colleague.get("/products/P001").json()
    assert (now["name"], now["price_cents"], now["delete_time"]) == ("Blue mug", 777, None)


def test_an_import_is_previewed_and_names_what_is_wrong(stack: Stack, desktop: Console) -> None:
    desktop.open("/products/import", "Import products")
    text = b"id,name,price_cents\nN1,Green bowl,900\nN2,,100\n"
    with desktop.page.expect_file_chooser() as chooser:
        desktop.page.get_by_label("File").click()
    chooser.value.set_files({"name": "new.csv", "mimeType": "text/csv", "buffer": text})
    expect(desktop.page.get_by_role("table", name="Wrong rows")).to_contain_text("N2")
    desktop.picture("import-preview")
    assert desktop.violations() == []
    assert httpx.get(f"{stack.rest}/products/N1").status_code == 404
    desktop.page.get_by_role("button", name="Import 1 products").click()
    expect(desktop.page.get_by_role("alert")).to_contain_text("Imported")
    assert httpx.get(f"{stack.rest}/products/N1").json()["name"] == "Green bowl"
