"""Calls from pages of other origins, as a browser makes them."""

from collections.abc import Iterator

import httpx
import pytest
from pydantic import ValidationError

from gateway.contract import Contract
from gateway.settings import Settings
from tests.gateway.conftest import gateway
from tests.gateway.everything import EverythingServer

SHOP, OTHER = "https://shop.example.com", "https://other.example.com"


@pytest.fixture(scope="module")
def url(contract: Contract, service: EverythingServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A gateway that pages of two origins may call."""
    settings = {"GATEWAY_WORKERS": "1", "GATEWAY_CORS_ORIGINS": f'["{SHOP}", "http://localhost:5173"]'}
    with gateway(contract, service, tmp_path_factory.mktemp("cors"), settings) as (url, _):
        yield url


@pytest.fixture
def shop(url: str) -> Iterator[httpx.Client]:
    """A page of the shop."""
    with httpx.Client(base_url=url, headers={"origin": SHOP}, timeout=20) as page:
        yield page


def names(header: str) -> set[str]:
    return {name.strip().lower() for name in header.split(",")}


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["/everything/a", "/v1/everything/a", "/everything:import", "/auth/token", "/healthz"])
def test_a_page_may_use_every_method_and_the_headers_of_calls(shop: httpx.Client, method: str, path: str) -> None:
    wanted = "authorization,content-type,idempotency-key,x-request-id,grpc-timeout"
    headers = {"access-control-request-method": method, "access-control-request-headers": wanted}
    answer = shop.options(path, headers=headers)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == SHOP
    assert method.lower() in names(answer.headers["access-control-allow-methods"])
    assert names(wanted) <= names(answer.headers["access-control-allow-headers"])
    assert "access-control-allow-credentials" not in answer.headers
    assert "origin" in names(answer.headers["vary"])


@pytest.mark.parametrize(
    ("path", "status"),
    [("/everything/a", 200), ("/v1/everything/a", 200), ("/healthz", 200), ("/errors/UNAVAILABLE", 503), ("/everything/a?small=x", 400)]
    + [("/nowhere", 404), ("/v7/products", 404), ("/status", 401), ("/everything/a:watch", 200), ("/everything/forbidden:watch", 403)],
)
def test_a_page_may_read_responses_streams_and_errors(shop: httpx.Client, path: str, status: int) -> None:
    response = shop.get(path)
    assert response.status_code == status
    assert response.headers["access-control-allow-origin"] == SHOP
    assert "origin" in names(response.headers["vary"])
    exposed = names(response.headers["access-control-expose-headers"])
    assert {"location", "retry-after", "x-request-id", "www-authenticate", "allow"} <= exposed


def test_a_page_may_read_what_it_created_and_where(shop: httpx.Client) -> None:
    response = shop.post("/v1/inners", json={"text": "a"})
    assert (response.status_code, response.headers["location"]) == (201, "/v1/inners/a")
    assert response.headers["access-control-allow-origin"] == SHOP


def test_a_page_of_another_origin_may_read_nothing(url: str) -> None:
    response = httpx.get(f"{url}/everything/a", headers={"origin": OTHER})
    assert "access-control-allow-origin" not in response.headers
    preflight = httpx.options(f"{url}/everything/a", headers={"origin": OTHER, "access-control-request-method": "GET"})
    assert preflight.status_code == 400 and "access-control-allow-origin" not in preflight.headers


def test_options_without_an_origin_still_names_the_methods_of_a_path(url: str) -> None:
    assert "GET" in httpx.options(f"{url}/everything/a").headers["allow"]


def test_by_default_no_page_of_another_origin_may_read_anything(client: httpx.Client) -> None:
    headers = {"origin": SHOP, "access-control-request-method": "GET"}
    for response in (client.get("/everything/a", headers=headers), client.options("/everything/a", headers=headers)):
        assert not [name for name in response.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "origin",
    ["https://shop.example.com/", "shop.example.com", "https://", "null", "", "https://*.example.com/x", "https://shop.example.com:port"],
)
def test_what_is_not_an_origin_is_named_at_start(origin: str) -> None:
    with pytest.raises(ValidationError, match="is not an origin: expected scheme, host and port alone") as raised:
        Settings(cors_origins=(origin,))
    assert raised.value.errors()[0]["loc"] == ("cors_origins", 0)


def test_origins_are_spelled_as_browsers_do() -> None:
    assert Settings(cors_origins=(" HTTPS://Shop.Example.COM", "http://[::1]:5173")).cors_origins == (SHOP, "http://[::1]:5173")


def test_all_origins_with_credentials_are_refused_at_start() -> None:
    with pytest.raises(ValidationError, match="list the origins instead of"):
        Settings(cors_origins=("*",), cors_credentials=True)
    assert Settings(cors_origins=("*",)).cors_origins == ("*",)
    assert Settings(cors_origins=(SHOP,), cors_credentials=True).cors_credentials
