"""The client and its command line against a whole shop."""

import asyncio
import json
import os
import re
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from hashiramart.auth.v1.auth_pb2 import GetCurrentUserRequest
from hashiramart.auth.v1.auth_pb2_grpc import AuthServiceStub
from hashiramart.catalog.v1.catalog_pb2 import CreateProductRequest, GetProductRequest, Product
from hashiramart.catalog.v1.catalog_pb2_grpc import CatalogServiceStub
from hashiramart_client import Session, aio, call_error, grants, open_channel, password_grant
from mesh.certificates import issue
from tests.clients.python.command import CommandLine, Outcome
from tests.e2e.stack import ROOT, Stack, own_stack, running
from tests.engines.ports import free_port
from tests.services.auth.authenticator import App
from tests.services.auth.people import Person

pytestmark = pytest.mark.engine

EMAIL, PASSWORD = "boss@example.com", "battery staple correct"
PRODUCTS = "".join(
    json.dumps({"id": id, "name": name, "price_cents": 255, "stock": 12}) + "\n"
    for id, name in (("85123A", "White hanging heart T-light holder"), ("22423", "Regency cakestand"), ("20725", "Lunch bag"))
)
SERVICES = ("auth", "catalog", "recommender", "forecaster", "jobs")
UV = Path(sys.executable).with_name("uv")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The services without models, and an admin."""
    with running(own_stack(tmp_path_factory.mktemp("stack"))) as stack:
        create_admin = [sys.executable, "-m", "services.auth.admin", "create-admin", "--email", EMAIL]
        assert stack.run("run", "auth", *create_admin, text=f"{PASSWORD}\n").returncode == 0
        yield stack


@pytest.fixture
def shop(command_line: CommandLine, stack: Stack) -> CommandLine:
    """The command line of a user who is not signed in."""
    command_line.set_environment({"HASHIRAMART_SERVER": stack.rest})
    return command_line


@pytest.fixture
def staff(shop: CommandLine) -> CommandLine:
    """The same, signed in."""
    assert shop.run("sign-in", "--email", EMAIL, text=f"{PASSWORD}\n").exit_code == 0
    return shop


@pytest.fixture
def auth(stack: Stack) -> Iterator[grpc.Channel]:
    with open_channel(address(stack, "auth")) as channel:
        yield channel


def address(stack: Stack, service: str) -> str:
    return f"127.0.0.1:{stack.environment[f'{service.upper()}_PORT']}"


def example_environment(stack: Stack) -> dict[str, str]:
    addresses = {f"HASHIRAMART_{name.upper()}": address(stack, name) for name in SERVICES}
    return {**os.environ, **addresses, "HASHIRAMART_EMAIL": EMAIL, "HASHIRAMART_PASSWORD": PASSWORD}


def sign_ins(config_folder: Path) -> Path:
    return config_folder / "hashiramart" / "sign-ins.json"


def expire(config_folder: Path) -> str:
    """Makes the access token of the only sign-in look old, and returns its refresh token."""
    file = sign_ins(config_folder)
    content = json.loads(file.read_text())
    [entry] = content["sign_ins"].values()
    entry["expire_time"] = time.time() + 1
    file.write_text(json.dumps(content))
    return str(entry["refresh_token"])


def test_the_commands_of_the_documentation(stack: Stack, tmp_path: Path) -> None:
    """All in one shell, as they stand; the prompt reads standard input here."""
    [commands] = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "cli.md").read_text(), re.DOTALL)
    (tmp_path / "products.ndjson").write_text(PRODUCTS)
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HASHIRAMART_SERVER": stack.rest,
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
    }
    process = subprocess.run(
        ["bash", "-eu", "-c", commands], check=False, cwd=tmp_path, env=environment, input=f"{PASSWORD}\n", capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr
    assert "White hanging heart T-light holder" in process.stdout


def test_a_sign_in_is_kept_where_nobody_else_reads_it(staff: CommandLine, config_folder: Path) -> None:
    assert staff.run("users", "get-current", "-o", "json").json["email"] == EMAIL
    file = sign_ins(config_folder)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert PASSWORD not in file.read_text()


def test_the_server_of_the_last_sign_in_is_called(staff: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HASHIRAMART_SERVER")
    assert staff.run("users", "get-current", "-o", "json").json["email"] == EMAIL


def test_a_wrong_password_leaves_nothing_behind(shop: CommandLine, config_folder: Path) -> None:
    outcome = shop.run("sign-in", "--email", EMAIL, text="wrong password\n")
    assert (outcome.exit_code, "invalid_grant" in outcome.err) == (64 + 16, True)
    assert not sign_ins(config_folder).exists()
    assert shop.run("sign-in", "--email", EMAIL).exit_code == 2


def test_a_sign_in_asks_for_the_code_of_a_second_factor(shop: CommandLine, auth: grpc.Channel) -> None:
    app = App(AuthServiceStub(auth), Person(AuthServiceStub(auth), "kim"))
    app.token = app.person.signs_up_and_in()
    app.enrolls()
    app.confirms(app.code())
    wrong = shop.run("sign-in", "--email", app.person.email, text=f"{app.person.password}\n000\n")
    assert (wrong.exit_code, "one-time code is wrong" in wrong.err) == (64 + 16, True)
    assert shop.run("sign-in", "--email", app.person.email, text=f"{app.person.password}\n{app.code(1)}\n").exit_code == 0
    assert shop.run("users", "get-current", "-o", "json").json["second_factor_enabled"] is True


def test_a_call_without_a_sign_in_says_what_to_do(shop: CommandLine) -> None:
    outcome = shop.run("jobs", "list")
    assert outcome.exit_code == 64 + 16
    assert "hint: sign in: hashiramart sign-in" in outcome.err


def test_an_old_access_token_is_renewed(staff: CommandLine, config_folder: Path) -> None:
    old = expire(config_folder)
    assert staff.run("users", "get-current").exit_code == 0
    assert old not in sign_ins(config_folder).read_text()
    assert stat.S_IMODE(sign_ins(config_folder).stat().st_mode) == 0o600


def test_commands_at_the_same_time_renew_once(staff: CommandLine, stack: Stack, config_folder: Path) -> None:
    """A refresh token that is sent twice would end the sign-in."""
    expire(config_folder)
    command = [str(Path(sys.executable).with_name("hashiramart")), "users", "get-current"]
    processes = [subprocess.Popen(command, env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for _ in range(3)]
    assert [process.communicate()[1] for process in processes] == [b""] * 3
    expire(config_folder)
    assert staff.run("users", "get-current").exit_code == 0


def test_a_sign_out_revokes_the_refresh_token(staff: CommandLine, config_folder: Path) -> None:
    refresh_token = json.loads(sign_ins(config_folder).read_text())["sign_ins"].popitem()[1]["refresh_token"]
    assert staff.run("sign-out").exit_code == 0
    assert refresh_token not in sign_ins(config_folder).read_text()
    assert staff.run("jobs", "list").exit_code == 64 + 16
    body = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    assert staff.run("auth", "issue-token", "--json", json.dumps(body)).exit_code == 64 + 16


def test_a_password_comes_from_standard_input(shop: CommandLine) -> None:
    user = shop.run("users", "create", "--email", "ann@example.com", "-o", "json", text="correct horse battery\n").json
    assert user["email"] == "ann@example.com"
    assert shop.run("users", "create", "--email", "bob@example.com", "--password", "secret-on-a-line").exit_code == 2
    body = json.dumps({"email": "bob@example.com", "password": "correct horse battery"})
    assert shop.run("users", "create", "--json", "-", "-o", "json", text=body).json["email"] == "bob@example.com"


def test_a_profile_is_changed_by_its_options(shop: CommandLine) -> None:
    assert shop.run("users", "create", "--email", "eve@example.com", text="correct horse battery\n").exit_code == 0
    assert shop.run("sign-in", "--email", "eve@example.com", text="correct horse battery\n").exit_code == 0
    assert shop.run("users", "update-current", "--display-name", "Eve", "-o", "json").json["display_name"] == "Eve"
    user = shop.run(
        "users", "update-current", "--email", "eva@example.com", "--current-password", "-o", "json", text="correct horse battery\n"
    ).json
    assert (user["email"], user["display_name"]) == ("eva@example.com", "Eve")


def test_products_are_imported_listed_and_changed(staff: CommandLine) -> None:
    assert staff.run("products", "import", "-", "-o", "json", text=PRODUCTS).json["failures"] == []
    product = staff.run("products", "update", "85123A", "--stock", "7", "-o", "json").json
    assert (product["stock"], product["name"]) == (7, "White hanging heart T-light holder")
    lines = staff.run("products", "list", "--search", "heart").out.splitlines()
    assert lines[0].split()[:2] == ["ID", "NAME"]
    assert lines[1].startswith("85123A  White hanging heart T-light holder  ")


def test_an_import_with_rows_that_fail_prints_them_and_fails(staff: CommandLine) -> None:
    rows = '{"id": "row-1", "name": "One"}\n{"id": "row-2", "price_cents": -5}\n{\n'
    table = staff.run("products", "import", "-", text=rows)
    assert (table.exit_code, table.err) == (1, "error: 2 of 3 rows failed\n")
    assert re.search(r"^ *2 +row-2 .*INVALID_REQUEST", table.out, re.MULTILINE)
    assert re.search(r"^ *3 .*MALFORMED_REQUEST", table.out, re.MULTILINE)
    as_json = staff.run("products", "import", "-", "-o", "json", text=rows)
    assert (as_json.exit_code, json.loads(as_json.out)["unchanged_count"]) == (1, 1)
    assert staff.run("products", "get", "row-1").exit_code == 0


def test_pages_are_followed_as_far_as_asked(staff: CommandLine) -> None:
    staff.run("products", "import", "-", text=PRODUCTS)
    first = staff.run("products", "list", "--page-size", "1", "-o", "ndjson")
    assert (len(first.lines), "--page-token" in first.err) == (1, True)
    every = staff.run("products", "list", "--page-size", "1", "--all", "-o", "ndjson")
    assert {"85123A", "22423", "20725"} <= {product["id"] for product in every.lines}
    assert every.err == ""
    assert len(staff.run("products", "list", "--limit", "2", "--page-size", "1", "-o", "json").json["products"]) == 2


def test_a_long_list_of_ids_is_no_problem(staff: CommandLine) -> None:
    """It would be a URL of 15 kB, so that the call is made with a body."""
    staff.run("products", "import", "-", text=PRODUCTS)
    excluded = [word for number in range(490) for word in ("--exclude-ids", f"a-very-long-id-{number}")]
    listed = staff.run("recommendations", "list", *excluded, "--exclude-ids", "85123A", "--limit", "2", "-o", "ndjson").lines
    assert len(listed) == 2
    assert "85123A" not in [each["product"]["id"] for each in listed]


def test_a_narrow_terminal_gets_fewer_columns(staff: CommandLine) -> None:
    staff.run("products", "import", "-", text=PRODUCTS)
    staff.set_environment({"COLUMNS": "40"})
    lines = staff.run("products", "list").out.splitlines()
    assert max(map(len, lines)) <= 40
    assert lines[0].split() == ["ID", "NAME"]


def test_a_broken_rule_names_the_option(staff: CommandLine) -> None:
    outcome = staff.run("products", "create", "--name", "x", "--price-cents", "-5")
    assert outcome.exit_code == 64 + 3
    assert outcome.err.startswith("error: --price-cents: ")
    assert staff.run("products", "create", "--price-cents", "5").exit_code == 2
    assert "ID: " in staff.run("products", "get", "no such id").err


def test_a_reason_comes_with_the_words_of_its_contract(staff: CommandLine) -> None:
    outcome = staff.run("products", "update", "85123A", "--stock", "1", "--etag", "stale")
    assert (outcome.exit_code, "STALE_ETAG" in outcome.err) == (64 + 10, True)
    assert "hint: the product was changed since it was read. Read it again and repeat the change." in outcome.err


def test_a_job_is_submitted_followed_and_cancelled(staff: CommandLine) -> None:
    job = staff.run("jobs", "submit-etl", "-o", "json").json
    assert job["id"] in [each["id"] for each in staff.run("jobs", "list", "--states", "queued", "-o", "ndjson").lines]
    assert staff.run("jobs", "cancel", job["id"]).exit_code == 0
    watched = staff.run("jobs", "watch", job["id"])
    assert watched.exit_code == 0
    assert "cancelled" in watched.out.splitlines()[-1]


def test_a_gateway_with_tls(shop: CommandLine, stack: Stack, tmp_path: Path) -> None:
    issue(tmp_path)
    files = {"GATEWAY_TLS_CERTIFICATE": str(tmp_path / "gateway.crt"), "GATEWAY_TLS_KEY": str(tmp_path / "gateway.key")}
    with own_gateway(stack, files) as listen:
        command = ("auth", "list-signing-keys", "--server", f"https://{listen}", "-o", "json")
        assert wait_for(shop, *command, "--tls-ca", str(tmp_path / "ca.crt")).json["keys"]
        assert shop.run(*command).exit_code == 64 + 14


def test_what_is_public_needs_no_sign_in_that_can_be_renewed(staff: CommandLine, stack: Stack, config_folder: Path) -> None:
    expire(config_folder)
    with own_gateway(stack, {"GATEWAY_AUTH_ADDRESS": f"127.0.0.1:{free_port()}"}) as listen:
        sign_ins(config_folder).write_text(sign_ins(config_folder).read_text().replace(stack.rest, f"http://{listen}"))
        assert wait_for(staff, "products", "list", "--server", f"http://{listen}").exit_code == 0
        assert staff.run("jobs", "list", "--server", f"http://{listen}").exit_code == 64 + 14


@contextmanager
def own_gateway(stack: Stack, settings: dict[str, str]) -> Iterator[str]:
    """A further gateway of the shop, which may not be up yet: its address."""
    listen = f"127.0.0.1:{free_port()}"
    addresses = {f"GATEWAY_{name.upper()}_ADDRESS": address(stack, name) for name in SERVICES}
    environment = {**os.environ, **addresses, **settings, "GATEWAY_LISTEN": listen, "GATEWAY_WORKERS": "1"}
    with subprocess.Popen([sys.executable, "-m", "gateway"], env=environment, cwd=ROOT) as process:
        try:
            yield listen
        finally:
            process.terminate()


def wait_for(command_line: CommandLine, *command: str) -> Outcome:
    """Repeats a command until it succeeds, for a minute at most."""
    deadline = time.monotonic() + 60
    while (outcome := command_line.run(*command)).exit_code and time.monotonic() < deadline:
        time.sleep(0.2)
    return outcome


def test_a_wheel_in_an_empty_environment_walks_through_the_services(stack: Stack, tmp_path: Path) -> None:
    """It brings all that it needs: nothing of the services is there."""
    python, client = tmp_path / "environment" / "bin" / "python", ROOT / "clients" / "python"
    uv = [str(UV), "--quiet"]
    build = [*uv, "build", "--wheel", "--no-build-isolation", "--python", sys.executable, "--out-dir", str(tmp_path), str(client)]
    subprocess.run(build, check=True)
    [wheel] = tmp_path.glob("*.whl")
    subprocess.run([*uv, "venv", "--python", sys.executable, str(python.parents[1])], check=True)
    install = [*uv, "pip", "install", "--python", str(python), "--constraint", str(ROOT / "requirements" / "dev.txt")]
    subprocess.run([*install, str(wheel)], check=True)
    walk = subprocess.run(
        [str(python), str(client / "example.py")], check=False, cwd=tmp_path, env=example_environment(stack), capture_output=True, text=True
    )
    assert walk.returncode == 0, walk.stderr
    steps = json.loads(walk.stdout)
    assert steps["import"] == {"row_count": 3, "failed_count": 0}
    assert steps["products"]["ids"] == ["conformance-1", "conformance-2", "conformance-3"]
    assert steps["recommendations"] == {"count": 3}
    # Without sales there is nothing to forecast from.
    assert steps["forecast"] == {"code": "UNAVAILABLE", "reason": "NO_MODEL", "fields": []}
    assert steps["job"] == {"submitted_once": True, "cancelled": True, "ended": True}
    assert (steps["error"]["code"], steps["error"]["reason"]) == ("NOT_FOUND", "PRODUCT_NOT_FOUND")
    assert steps["invalid"] == {"code": "INVALID_ARGUMENT", "reason": "INVALID_REQUEST", "fields": ["id"]}
    assert steps["deadline"]["code"] == "DEADLINE_EXCEEDED"
    command = [str(python.with_name("hashiramart")), "--server", stack.rest, "products", "list", "--search", "conformance", "-o", "ndjson"]
    without = subprocess.run(command, check=False, cwd=tmp_path, capture_output=True, text=True)
    assert (without.returncode, without.stderr) == (1, "The command line needs click: install hashiramart-client[cli].\n")
    subprocess.run([*install, f"{wheel}[cli]"], check=True)
    assert len(subprocess.run(command, check=True, cwd=tmp_path, capture_output=True, text=True).stdout.splitlines()) == 3


def test_a_session_renews_its_token_before_it_expires(auth: grpc.Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    with Session(auth, password_grant(EMAIL, PASSWORD)) as session:
        first = session.access_token()
        assert session.access_token() == first
        skip(monkeypatch, 800)
        second = session.access_token()
        assert second != first
        skip(monkeypatch, 1700)
        assert session.access_token() != second


def test_a_session_that_has_ended_signs_in_again(auth: grpc.Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(auth, password_grant(EMAIL, PASSWORD))
    first = session.access_token()
    session.sign_out()
    assert session.access_token() != first


def test_threads_share_a_session(auth: grpc.Channel) -> None:
    session = Session(auth, password_grant(EMAIL, PASSWORD))
    with ThreadPoolExecutor(8) as threads:
        assert len({*threads.map(lambda _: session.access_token(), range(16))}) == 1


async def test_tasks_share_a_session(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        aio.open_channel(address(stack, "auth")) as channel,
        aio.AsyncSession(channel, password_grant(EMAIL, PASSWORD)) as session,
        aio.open_channel(address(stack, "auth"), session) as calls,
    ):
        tokens = await asyncio.gather(*(session.access_token() for _ in range(16)))
        assert len({*tokens}) == 1
        user = await AuthServiceStub(calls).GetCurrentUser(GetCurrentUserRequest())
        assert user.email == EMAIL
        skip(monkeypatch, 800)
        assert await session.access_token() != tokens[0]


async def test_errors_have_their_details_with_asyncio_too(stack: Stack) -> None:
    async with aio.open_channel(address(stack, "catalog")) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await CatalogServiceStub(channel).GetProduct(GetProductRequest(id="nope"))
    assert call_error(caught.value).reason == "PRODUCT_NOT_FOUND"


def test_wrong_credentials_are_the_errors_of_the_call(auth: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        Session(auth, password_grant(EMAIL, "wrong password")).access_token()
    error = call_error(caught.value)
    assert (error.code, error.reason, error.retry_seconds) == (grpc.StatusCode.UNAUTHENTICATED, "INVALID_GRANT", None)


def test_violations_name_the_fields(auth: grpc.Channel, stack: Stack) -> None:
    session = Session(auth, password_grant(EMAIL, PASSWORD))
    with open_channel(address(stack, "catalog"), session) as channel, pytest.raises(grpc.RpcError) as caught:
        CatalogServiceStub(channel).CreateProduct(CreateProductRequest(product=Product(name="x", price_cents=-5)))
    assert [violation.field for violation in call_error(caught.value).violations] == ["product.price_cents"]


def test_a_service_that_is_away_is_unavailable() -> None:
    with open_channel(f"127.0.0.1:{free_port()}") as channel, pytest.raises(grpc.RpcError) as caught:
        CatalogServiceStub(channel).GetProduct(GetProductRequest(id="a"))
    error = call_error(caught.value)
    assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "")


def skip(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Lets time pass for sessions."""
    clock: Any = time.monotonic
    start = clock()
    monkeypatch.setattr(grants, "monotonic", lambda: start + seconds)
