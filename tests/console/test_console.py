"""The console as its users walk through it, in a browser, on a stack with small models."""

import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import psutil
import pytest
from playwright.sync_api import Browser, ViewportSize, expect

from stack import console
from tests.console import texts
from tests.console.browser import DESKTOP, PHONE, TIMEOUT_MS, Console
from tests.console.shop import CUSTOMER, EMAIL, PASSWORD, signed_in
from tests.e2e.stack import Stack
from tests.services.auth.authenticator import code_at
from tests.services.recommender.world import COFFEES
from tests.services.waiting import eventually

pytestmark = pytest.mark.engine

START_BYTES = 400_000
# Addresses, with the headings of their pages: no two in a row have the same.
PAGES = {
    "/products": "Products",
    "/products/T1": "Red teapot",
    "/products/new": "New product",
    "/products/import": "Import products",
    "/recommendations": "Recommendations",
    f"/customers/{CUSTOMER}": f"Customer {CUSTOMER}",
    "/merchandising": "Merchandising",
    "/merchandising/new-slot": "New slot",
    "/merchandising/new-rule": "New rule",
    "/experiments": "Experiments",
    "/experiments/new": "New experiment",
    "/exposures": "Shown lists",
    "/forecasts": "Forecasts",
    "/calendar": "Calendar",
    "/forecasts?level=category&key=Drinks&view=accuracy": "Forecasts",
    "/reorder": "Reorder",
    '/forecasts?view=what-if&changes=[{"kind":"price","percent":-10}]': "Forecasts",
    "/data": "Data",
    "/jobs": "Jobs",
    "/schedules": "Schedules",
    "/models": "Models",
    "/services": "Services",
    "/users": "Users",
    "/audit": "Audit log",
    "/account": "Your account",
    "/nowhere": "Page not found",
}


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_every_page_is_accessible_in_both_schemes_and_has_a_title(
    stack: Stack, chromium: Browser, pictures: Path, size: ViewportSize
) -> None:
    context = chromium.new_context(viewport=size, locale="en-GB")
    tab = Console(context, stack.rest, pictures / str(size["width"]))
    tab.page.goto(f"{stack.rest}/console/")
    tab.page.get_by_label("E-mail").wait_for()
    found = {"sign-in": tab.violations_by_scheme("sign-in")}
    tab.sign_in(EMAIL, PASSWORD)
    for number, (path, heading) in enumerate(PAGES.items()):
        tab.visit(path, heading)
        titled = tab.page.title() == f"{heading} · HashiraMart"
        violations = tab.violations_by_scheme(f"{number:02} {heading}")
        found[path] = violations + ["no title"] * (not titled) + ["scrolls sideways"] * tab.scrolls_sideways()
    context.close()
    assert {page: violations for page, violations in found.items() if violations} == {}
    assert tab.problems == []


def test_every_text_is_in_the_catalogue_and_fits_a_phone_when_it_is_longer_and_from_right_to_left(
    stack: Stack, chromium: Browser, pictures: Path
) -> None:
    context = chromium.new_context(viewport=PHONE, locale="ar-XB")
    context.add_init_script(texts.KEEP_DATA)
    tab = Console(context, stack.rest, pictures / "pseudo-locale")
    page, heading = tab.page, tab.page.get_by_role("heading", level=1)
    page.goto(f"{stack.rest}/console/")
    page.locator("input[autocomplete=username]").fill(EMAIL)
    expect(page.locator("html")).to_have_attribute("lang", "ar-XB")
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    found = {"sign-in": texts.untranslated(page.evaluate(texts.TEXTS), {EMAIL})}
    page.locator("input[autocomplete=current-password]").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("input[autocomplete=current-password]")).to_have_count(0)
    shown = ""
    for number, path in enumerate(PAGES):
        page.evaluate("(path) => history.pushState(null, '', path)", f"/console{path}")
        expect(heading).not_to_have_text(shown)
        expect(page.locator("[aria-busy=true]")).to_have_count(0)
        shown = heading.inner_text()
        tab.picture(f"{number:02}")
        found[path] = texts.untranslated(page.evaluate(texts.TEXTS), page.evaluate(texts.DATA))
        found[path] |= {"scrolls sideways"} if tab.scrolls_sideways() else set()
    context.close()
    assert {path: problems for path, problems in found.items() if problems} == {}
    assert tab.problems == []


def test_a_dialog_is_accessible(desktop: Console) -> None:
    desktop.open("/calendar", "Calendar")
    desktop.page.get_by_role("button", name="New entry").click()
    desktop.page.get_by_role("dialog", name="New entry").wait_for()
    desktop.picture("dialog")
    assert desktop.violations() == []


def test_a_browser_at_the_root_is_led_to_the_console_and_a_program_is_not(stack: Stack) -> None:
    led = httpx.get(stack.rest, headers={"accept": "text/html"})
    assert (led.status_code, led.headers["location"]) == (307, "/console/")
    assert httpx.get(stack.rest).json()["details"][0]["reason"] == "PATH_NOT_FOUND"


def test_assets_are_cached_for_good_and_the_page_is_not_and_allows_no_other_source(stack: Stack) -> None:
    page = httpx.get(f"{stack.rest}/console/products")
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["x-content-type-options"] == "nosniff"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
    asset = next(part.split('"')[0] for part in page.text.split('src="')[1:])
    assert "immutable" in httpx.get(f"{stack.rest}{asset}").headers["cache-control"]
    assert httpx.get(f"{stack.rest}/console/assets/nothing.js").status_code == 404
    assert "react" not in httpx.get(f"{stack.rest}/console/assets/..%2F..%2Fpackage.json").text


def test_the_start_loads_little(stack: Stack, chromium: Browser) -> None:
    context = chromium.new_context(locale="en-GB")
    page = context.new_page()
    page.goto(f"{stack.rest}/console/")
    page.get_by_label("E-mail").wait_for()
    loaded = page.evaluate("performance.getEntriesByType('resource').map((each) => each.toJSON())")
    context.close()
    scripts = [(each["encodedBodySize"], each["decodedBodySize"]) for each in loaded if each["name"].endswith(".js")]
    # The page itself, its parts and the texts.
    assert len(scripts) > 2 and all(packed < whole for packed, whole in scripts if whole > 1000)
    assert sum(packed for packed, _ in scripts) < START_BYTES


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
    desktop.open("/products", "Products")
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
    expect(conflict).to_contain_text("Somebody else has changed this")
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
        desktop.page.get_by_role("button", name="File").click()
    chooser.value.set_files({"name": "new.csv", "mimeType": "text/csv", "buffer": text})
    expect(desktop.page.get_by_role("table", name="Wrong rows")).to_contain_text("N2")
    desktop.picture("import-preview")
    assert desktop.violations() == []
    assert httpx.get(f"{stack.rest}/products/N1").status_code == 404
    desktop.page.get_by_role("button", name="Import 1 product").click()
    expect(desktop.page.get_by_role("alert")).to_contain_text("Imported")
    assert httpx.get(f"{stack.rest}/products/N1").json()["name"] == "Green bowl"


def test_a_rule_is_previewed_before_it_is_written(stack: Stack, desktop: Console) -> None:
    desktop.open("/merchandising/new-rule", "New rule")
    page = desktop.page
    page.get_by_label("Id", exact=False).first.fill("coffee-first")
    page.get_by_text("Pin", exact=True).click()
    page.get_by_label("Product").fill(COFFEES[11])
    page.get_by_label("Customer number").fill(CUSTOMER)
    preview = page.get_by_role("table", name="Preview")
    expect(preview.get_by_role("row").nth(1)).to_contain_text("amber coffee")
    expect(preview.get_by_role("row").nth(1)).to_contain_text("Rule coffee-first")
    assert desktop.violations() == []
    desktop.picture("rule")
    with signed_in(stack) as http:
        assert http.get("/recommendations/rules/coffee-first").status_code == 404
        page.get_by_role("button", name="Save", exact=True).click()
        page.get_by_role("heading", level=1, name="Rule coffee-first").wait_for()
        assert http.get("/recommendations/rules/coffee-first").json()["product_id"] == COFFEES[11]
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete it").click()
    desktop.settle("Merchandising")
    expect(page.get_by_text("There are no rules yet")).to_be_visible()


def test_an_experiment_is_started_ramped_and_concluded_with_a_reason(stack: Stack, desktop: Console) -> None:
    desktop.open("/experiments/new", "New experiment")
    page = desktop.page
    page.get_by_label("Id", exact=False).first.fill("shorter-home")
    page.get_by_label("Slot", exact=False).first.click()
    page.get_by_role("option", name="home").click()
    page.get_by_label("Products").fill("4")
    page.get_by_role("button", name="Add a rule").click()
    page.get_by_label("Rule id").fill("coffee-first")
    page.get_by_text("Pin", exact=True).click()
    page.get_by_label("Product", exact=False).last.fill(COFFEES[11])
    expect(page.get_by_role("table", name="Preview").get_by_role("row").nth(1)).to_contain_text("amber coffee")
    assert desktop.violations() == []
    page.get_by_role("button", name="Save", exact=True).click()
    desktop.settle("Experiment shorter-home")
    page.get_by_role("button", name="Start", exact=True).click()
    page.get_by_role("button", name="Start it").click()
    expect(page.get_by_text("Too little is known yet")).to_be_visible()
    page.get_by_role("button", name="Ramp up").click()
    page.get_by_label("Share of shoppers who take part").fill("100")
    page.get_by_role("dialog").get_by_role("button", name="Ramp up").click()
    expect(page.get_by_text("100% of shoppers take part")).to_be_visible()
    desktop.picture("experiment")
    assert desktop.violations() == []
    page.get_by_role("button", name="Conclude").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Revert to the control").check()
    expect(dialog.get_by_role("button", name="Conclude")).to_be_disabled()
    dialog.get_by_label("Reason").fill("it was only a test")
    assert desktop.violations() == []
    dialog.get_by_role("button", name="Conclude").click()
    # The dialog has the same text, until the call has succeeded.
    expect(dialog).to_be_hidden()
    expect(page.get_by_text("it was only a test")).to_be_visible()
    with signed_in(stack) as http:
        concluded = http.get("/experiments/shorter-home").json()
    assert (concluded["decision"], concluded["traffic_share"]) == ("EXPERIMENT_DECISION_REVERT", 1)


def test_what_was_shown_to_a_visitor_is_found_by_the_rule_that_moved_it_with_what_followed(stack: Stack, desktop: Console) -> None:
    pinned = {"action": "RULE_ACTION_PIN", "product_id": COFFEES[11], "position": 1}
    with signed_in(stack) as http:
        http.put("/recommendations/rules/coffee-on-top", json=pinned).raise_for_status()
    with httpx.Client(base_url=stack.rest, timeout=30) as visitor:
        token = visitor.post("/auth/token", data={"grant_type": "anonymous"}).raise_for_status().json()["access_token"]
        visitor.headers["authorization"] = f"Bearer {token}"
        eventually(lambda: visitor.get("/recommendations/me").json()["recommendations"][0]["product"]["id"] == COFFEES[11])
        shown = visitor.get("/recommendations/me", params={"slot": "home"}).raise_for_status().json()
        led = {"product_id": shown["recommendations"][0]["product"]["id"], "recommendation_id": shown["recommendation_id"]}
        visitor.post("/events", json={"events": [{"kind": "EVENT_KIND_CLICK", **led}]}).raise_for_status()
    with signed_in(stack) as http:
        eventually(lambda: http.get("/exposures", params={"recommendation_id": led["recommendation_id"]}).json()["exposures"])
        http.delete("/recommendations/rules/coffee-on-top").raise_for_status()
    desktop.open("/exposures?slot=home", "Shown lists")
    page = desktop.page
    page.get_by_label("Moved by rule").fill("coffee-on-top")
    page.keyboard.press("Enter")
    page.wait_for_url("**rule=coffee-on-top*")
    first = page.get_by_role("table", name=led["recommendation_id"]).get_by_role("row").first
    for text in (shown["recommendations"][0]["product"]["name"], "Rule coffee-on-top", "Click"):
        expect(first).to_contain_text(text)
    assert desktop.violations() == []
    page.get_by_label("Moved by rule").fill("of-nothing")
    page.keyboard.press("Enter")
    expect(page.get_by_text("No list fits")).to_be_visible()


def test_a_user_is_given_another_role_and_disabled(stack: Stack, desktop: Console) -> None:
    with signed_in(stack) as http:
        http.post("/users", json={"email": "carl@example.com", "password": "a password of carl"}).raise_for_status()
    desktop.open("/users?search=carl", "Users")
    page = desktop.page
    page.get_by_role("link", name="carl@example.com").click()
    desktop.settle("carl@example.com")
    page.get_by_role("combobox", name="Role").click()
    page.get_by_role("option", name="Staff").click()
    page.get_by_label("Disabled").check()
    expect(page.get_by_text("All sign-ins of the user end at once.")).to_be_visible()
    assert desktop.violations() == []
    page.get_by_role("button", name="Save", exact=True).click()
    with signed_in(stack) as http:
        eventually(lambda: http.get("/users", params={"search": "carl"}).json()["users"][0]["disabled"])
        [carl] = http.get("/users", params={"search": "carl"}).json()["users"]
    assert carl["role"] == "ROLE_STAFF"
    page.get_by_role("button", name="Reset the password").click()
    page.get_by_role("button", name="Reset it").click()
    expect(page.get_by_text("A link is mailed", exact=True)).to_be_visible()


def test_a_basket_changes_what_is_recommended(desktop: Console) -> None:
    desktop.open(f"/customers/{CUSTOMER}", f"Customer {CUSTOMER}")
    put = desktop.page.get_by_role("button", name=re.compile("into the basket")).first
    name = (put.get_attribute("aria-label") or "").removeprefix("Put ").removesuffix(" into the basket")
    put.click()
    expect(desktop.page.get_by_role("button", name=f"Remove {name} from the basket")).to_be_visible()
    expect(desktop.page.get_by_role("table", name="Recommended products").get_by_role("link", name=name, exact=True)).to_be_hidden()


def test_what_would_change_is_shown_beside_the_forecast(desktop: Console) -> None:
    desktop.open("/forecasts?view=what-if", "Forecasts")
    page = desktop.page
    page.get_by_role("button", name="Add a change").click()
    expect(page.get_by_role("group", name="Change 1")).to_be_visible()
    expect(page.get_by_text("in 95 of 100 cases").first).to_be_visible()
    assert "changes=" in page.url
    page.reload()
    expect(page.get_by_text("in 95 of 100 cases").first).to_be_visible()


def test_a_closure_is_entered_and_removed(stack: Stack, desktop: Console) -> None:
    day = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()
    desktop.open("/calendar", "Calendar")
    page = desktop.page
    page.get_by_role("button", name="New entry").click()
    dialog = page.get_by_role("dialog", name="New entry")
    dialog.get_by_label("Name").fill("Stocktaking")
    dialog.get_by_label("First day").fill(day)
    assert desktop.violations() == []
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_role("table").get_by_text("Stocktaking")).to_be_visible()
    with signed_in(stack) as http:
        assert [entry["first_date"] for entry in http.get("/calendar/entries").json()["entries"]] == [day]
    page.get_by_role("button", name=re.compile("Change Stocktaking")).click()
    page.get_by_role("button", name="Remove", exact=True).click()
    page.get_by_role("button", name="Remove it").click()
    expect(page.get_by_text("The calendar is empty")).to_be_visible()


def test_a_schedule_is_made_and_one_that_is_wrong_says_where(stack: Stack, desktop: Console) -> None:
    desktop.open("/schedules", "Schedules")
    page = desktop.page
    page.get_by_role("button", name="New schedule").click()
    dialog = page.get_by_role("dialog", name="New schedule")
    dialog.get_by_label("Id").fill("nightly")
    dialog.get_by_label("When").fill("99 3 * * *")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_label("When")).to_have_attribute("aria-invalid", "true")
    assert desktop.violations() == []
    dialog.get_by_label("When").fill("30 3 * * *")
    dialog.get_by_label("Paused").check()
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_role("table", name="Schedules")).to_contain_text("Paused")
    with signed_in(stack) as http:
        [schedule] = http.get("/schedules").json()["schedules"]
    assert (schedule["id"], schedule["cron"], schedule["paused"]) == ("nightly", "30 3 * * *", True)
    page.get_by_role("button", name="nightly").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("button", name="Delete it").click()
    expect(page.get_by_text("There are no schedules yet")).to_be_visible()


def test_what_to_reorder_is_exported(desktop: Console) -> None:
    desktop.open("/reorder?all=true", "Reorder")
    with desktop.page.expect_download() as download:
        desktop.page.get_by_role("button", name="Export CSV").click()
    header, *rows = Path(download.value.path()).read_text().splitlines()
    assert header.startswith("product_id,name,quantity,")
    assert {row.split(",")[0] for row in rows} == {"tea", "coffee", "mug", "plate", "bowl"}


def test_another_sign_in_is_ended(stack: Stack, desktop: Console) -> None:
    with httpx.Client(base_url=stack.rest, headers={"x-console": "1", "user-agent": "till/1.0"}) as other:
        other.post("/console/session", auth=(EMAIL, PASSWORD)).raise_for_status()
        desktop.open("/account", "Your account")
        desktop.page.get_by_role("row").filter(has_text="till/1.0").get_by_role("button", name="End").click()
        expect(desktop.page.get_by_text("till/1.0")).to_be_hidden()
        assert other.post("/console/session/refresh").status_code == 401


def test_a_second_factor_is_set_up_by_a_qr_code_and_asked_for(stack: Stack, chromium: Browser, pictures: Path) -> None:
    kim = {"email": "kim@example.com", "password": "a password of kim's"}
    with signed_in(stack) as http:
        id = http.post("/users", json=kim).raise_for_status().json()["id"]
        http.patch(f"/users/{id}", json={"role": "ROLE_STAFF"}).raise_for_status()
    context = chromium.new_context(locale="en-GB")
    tab = Console(context, stack.rest, pictures)
    tab.sign_in(*kim.values())
    tab.open("/account", "Your account")
    page = tab.page
    page.get_by_label("Your password").fill(kim["password"])
    page.get_by_role("button", name="Set it up").click()
    expect(page.get_by_role("img", name="The secret as a QR code")).to_be_visible()
    tab.picture("second-factor")
    assert (tab.violations(), tab.scrolls_sideways()) == ([], False)
    page.get_by_role("textbox", name="One-time code").fill(code_at(page.locator("code").inner_text(), time.time()))
    page.get_by_role("button", name="Confirm").click()
    recovery_code = page.get_by_role("listitem").first.inner_text()
    page.get_by_role("button", name="I have kept them").click()
    expect(page.get_by_role("button", name="Disable it")).to_be_visible()
    page.get_by_role("button", name="Account").click()
    page.get_by_role("menuitem", name="Sign out").click()
    page.get_by_label("E-mail").fill(kim["email"])
    page.locator("input[autocomplete=current-password]").fill(kim["password"])
    page.keyboard.press("Enter")
    page.get_by_role("textbox", name="One-time code").fill("000 000")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("The one-time code is wrong")
    page.get_by_role("textbox", name="One-time code").fill(recovery_code)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Your account")).to_be_visible()
    assert tab.problems == []
    context.close()


def test_a_product_is_found_by_the_keyboard_alone(desktop: Console) -> None:
    desktop.open("/products", "Products")
    page = desktop.page

    def tab_to(name: str) -> None:
        focused = "(document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent).trim()"
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate(focused) == name:
                return
        pytest.fail(f"{name} is not reached by Tab.")

    tab_to("Skip to the content")
    page.keyboard.press("Enter")
    tab_to("Search products")
    page.keyboard.type("teapot")
    expect(page.get_by_role("link", name="Mug 1", exact=True)).to_be_hidden()
    tab_to("Red teapot")
    page.keyboard.press("Enter")
    desktop.settle("Red teapot")


def test_a_browser_without_a_connection_says_so_goes_on_and_resumes(desktop: Console) -> None:
    page = desktop.page
    with page.expect_response("**/sales-chart-*.js"):
        desktop.open("/services", "Services")
    lost = page.get_by_role("alert").filter(has_text="Connection lost")
    desktop.context.set_offline(True)
    try:
        expect(lost).to_be_visible()
        page.get_by_role("link", name="Reorder", exact=True).click()
        page.get_by_role("heading", level=1, name="Reorder").wait_for()
        desktop.picture("offline")
        assert desktop.violations() == []
    finally:
        desktop.context.set_offline(False)
    expect(lost).to_be_hidden()
    expect(page.get_by_role("table", name="Simulation of the policy")).to_be_visible()


def test_a_lost_connection_is_shown_and_the_job_is_followed_again(stack: Stack, desktop: Console) -> None:
    with signed_in(stack) as http:
        job = http.post("/jobs/etl", json={}).raise_for_status().json()["id"]
    desktop.open(f"/jobs/{job}", "ETL")
    lost = desktop.page.get_by_text("Connection lost, resuming")
    gateway = psutil.Process(stack.pids()["gateway"])
    for process in (gateway, *gateway.children()):
        process.kill()
    expect(lost).to_be_visible()
    desktop.picture("connection lost")
    # The gateway has to start again.
    expect(lost).to_be_hidden(timeout=4 * TIMEOUT_MS)
    # What happens now is seen.
    with signed_in(stack) as http:
        http.post(f"/jobs/{job}:cancel").raise_for_status()
    expect(desktop.page.get_by_text("Cancelled").first).to_be_visible()


def test_types_and_units_pass(stack: Stack) -> None:
    assert console.packages_installed()
    assert console.check() == ""
