"""What services tell each other about callers: who did what, and whose tokens are no longer valid."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.stack import Stack, own_stack, running

EMAIL, PASSWORD = "boss@example.com", "correct horse battery"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Auth, another service, and the gateway."""
    with running(own_stack(Path(tmp_path_factory.mktemp("stack")), ("postgres", "auth", "catalog", "gateway"))) as stack:
        command = (".venv/bin/python", "-m", "services.auth.admin", "create-admin", "--email", EMAIL)
        assert stack.run("run", "auth", *command, text=PASSWORD).returncode == 0
        yield stack


def sign_in(stack: Stack, email: str) -> dict[str, str]:
    """The tokens of a new sign-in."""
    form = {"grant_type": "password", "username": email, "password": PASSWORD}
    tokens: dict[str, str] = httpx.post(f"{stack.rest}/auth/token", data=form, timeout=30).raise_for_status().json()
    return tokens


def call(stack: Stack, tokens: dict[str, str], method: str, path: str, body: object = None) -> httpx.Response:
    headers = {"authorization": f"Bearer {tokens['access_token']}"}
    return httpx.request(method, f"{stack.rest}{path}", json=body, headers=headers, timeout=30)


def test_a_change_on_any_service_is_in_the_list_of_audit_events(stack: Stack) -> None:
    boss = sign_in(stack, EMAIL)
    product = {"id": "mug", "name": "A mug", "price_cents": 100, "stock": 1}
    assert call(stack, boss, "POST", "/products", product).status_code == httpx.codes.CREATED
    assert call(stack, boss, "DELETE", "/products/mug").is_success
    deadline = time.monotonic() + 30
    events: list[dict[str, Any]] = []
    while not events:
        assert time.monotonic() < deadline
        events = call(stack, boss, "GET", "/audit-events?resource=products/mug").raise_for_status().json()["events"]
    assert [(event["rpc"].rpartition(".")[2], event["code"], event["role"]) for event in events] == [("DeleteProduct", "OK", "admin")]


def test_a_change_of_role_or_a_sign_out_reaches_all_services_within_seconds(stack: Stack) -> None:
    boss = sign_in(stack, EMAIL)
    user = httpx.post(f"{stack.rest}/users", json={"email": "kim@example.com", "password": PASSWORD}, timeout=30).raise_for_status().json()
    assert call(stack, boss, "PATCH", f"/users/{user['id']}", {"role": "ROLE_STAFF"}).is_success
    kim = sign_in(stack, "kim@example.com")
    product = {"id": "plate", "name": "A plate", "price_cents": 100, "stock": 1}
    assert call(stack, kim, "POST", "/products", product).status_code == httpx.codes.CREATED

    assert call(stack, boss, "PATCH", f"/users/{user['id']}", {"role": "ROLE_CUSTOMER"}).is_success
    assert reason_once_refused(stack, kim) == "TOKEN_REVOKED"
    form = {"grant_type": "refresh_token", "refresh_token": kim["refresh_token"]}
    kim = httpx.post(f"{stack.rest}/auth/token", data=form, timeout=30).raise_for_status().json()
    assert call(stack, kim, "PATCH", "/products/plate", {"stock": 3}).json()["details"][0]["reason"] == "ROLE_NOT_ALLOWED"

    other = sign_in(stack, EMAIL)
    assert httpx.post(f"{stack.rest}/auth/revoke", json={"token": boss["refresh_token"]}, timeout=30).is_success
    assert reason_once_refused(stack, boss) == "TOKEN_REVOKED"
    assert call(stack, other, "PATCH", "/products/plate", {"stock": 4}).is_success


def reason_once_refused(stack: Stack, tokens: dict[str, str]) -> str:
    """Why another service refuses these tokens, within some seconds."""
    deadline = time.monotonic() + 10
    while (response := call(stack, tokens, "PATCH", "/products/plate", {"stock": 2})).is_success:
        assert time.monotonic() < deadline
    reason: str = response.json()["details"][0]["reason"]
    return reason
