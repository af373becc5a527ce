"""How many requests an address and a subject may send."""

from collections.abc import Iterator

import httpx
import pytest

from gateway.contract import Contract
from gateway.rates import RateLimit
from tests.gateway.access_tokens import unsigned_token
from tests.gateway.conftest import gateway
from tests.gateway.everything import EverythingServer

SETTINGS = {
    "GATEWAY_WORKERS": "1",
    "GATEWAY_REQUESTS_PER_ADDRESS": "5",
    "GATEWAY_REQUESTS_PER_SUBJECT": "8",
    "GATEWAY_RATE_WINDOW_SECONDS": "600",
}


@pytest.fixture(scope="module")
def limited_url(contract: Contract, service: EverythingServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with gateway(contract, service, tmp_path_factory.mktemp("gateway"), SETTINGS) as (url, _):
        yield url


def get(url: str, address: str, authorization: str = "", method: str = "GET", path: str = "/everything/a") -> httpx.Response:
    headers = {"x-forwarded-for": address} | ({"authorization": authorization} if authorization else {})
    return httpx.request(method, f"{url}{path}", headers=headers, json={} if method == "POST" else None)


def test_an_address_beyond_its_limit_is_asked_to_wait_and_others_are_not(limited_url: str) -> None:
    responses = [get(limited_url, "203.0.113.7") for _ in range(6)]
    assert [response.status_code for response in responses] == [200] * 5 + [429]
    assert [response.headers["ratelimit"] for response in responses[:2]] == ['"address";r=4;t=120', '"address";r=3;t=240']
    refused = responses[-1]
    assert refused.headers["ratelimit-policy"] == '"address";q=5;w=600'
    assert 100 < int(refused.headers["retry-after"]) <= 120
    assert refused.json()["details"][0]["reason"] == "RATE_LIMITED"
    assert get(limited_url, "203.0.113.8").status_code == 200


def test_the_networks_of_one_ipv6_client_share_its_limit(limited_url: str) -> None:
    statuses = [get(limited_url, f"2001:db8:0:1::{number}").status_code for number in range(1, 7)]
    assert statuses == [200] * 5 + [429]
    assert get(limited_url, "2001:db8:0:2::1").status_code == 200


def test_this_machine_and_trusted_proxies_are_not_counted(limited_url: str) -> None:
    for address in ("127.0.0.1", "10.1.2.3"):
        responses = [get(limited_url, address) for _ in range(8)]
        assert {response.status_code for response in responses} == {200}
        assert "ratelimit" not in responses[0].headers


def test_a_subject_has_a_limit_wherever_it_calls_from_once_a_service_has_accepted_its_token(limited_url: str) -> None:
    token, again = unsigned_token("ann"), unsigned_token("ann", 1800)
    for number in range(12):
        # Anybody can write a token: one that no service has accepted counts for nobody.
        assert get(limited_url, f"198.51.100.{number}", token).status_code == 200
    for each in (token, again):
        assert get(limited_url, "198.51.100.20", each, "POST", "/guarded").status_code == 200
    statuses = [get(limited_url, f"198.51.101.{number}", (token, again)[number % 2]).status_code for number in range(9)]
    assert statuses == [200] * 8 + [429]
    assert get(limited_url, "198.51.101.99", unsigned_token("bob")).status_code == 200


def test_a_limit_is_whole_again_after_its_window_and_forgets_who_has_not_used_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    limit = RateLimit(2, 60)
    assert [limit.take("a")[0] for _ in range(3)] == [1, 0, -1]
    for number in range(20_001):
        now += 0.01
        limit.take(str(number))
    assert limit.take("a")[0] == 1
    assert len(limit._whole) < 20_001
