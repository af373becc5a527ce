"""The calls of a front end whose visitor signs up."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.e2e.shop import PASSWORD, Shop
from tests.e2e.stack import own_stack, running
from tests.services.waiting import eventually


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop with what visitors need."""
    processes = ("postgres", "auth", "catalog", "recommender", "gateway")
    with running(own_stack(tmp_path_factory.mktemp("stack"), processes)) as stack, closing(Shop(stack)) as shop:
        yield shop


def listed(shop: Shop, token: str) -> list[str]:
    """The ids of the products that are recommended at home."""
    query = {"slot": "home", "availability": "AVAILABILITY_ANY"}
    response = shop.http.get("/recommendations/me", params=query, headers={"authorization": f"Bearer {token}"}).json()
    assert response["recommendation_id"]
    return [each["product"]["id"] for each in response["recommendations"]]


def test_a_visitor_who_signs_up_keeps_their_history(shop: Shop) -> None:
    for id in ("mug", "pot"):
        staff = {"authorization": f"Bearer {shop.tokens['staff']}"}
        shop.http.post("/products", json={"id": id, "name": id}, headers=staff).raise_for_status()
    visitor = shop.http.post("/auth/token", json={"grant_type": "anonymous"}).json()
    eventually(lambda: sorted(listed(shop, visitor["access_token"])) == ["mug", "pot"])
    event = {"kind": "EVENT_KIND_DISMISS", "product_id": "mug", "slot": "home", "position": 1}
    recorded = shop.http.post("/events", json={"events": [event]}, headers={"authorization": f"Bearer {visitor['access_token']}"})
    assert recorded.json()["recorded_count"] == 1, recorded.text
    assert listed(shop, visitor["access_token"]) == ["pot"]

    account = {"email": "ann@example.com", "password": PASSWORD}
    shop.http.post("/users", json={**account, "visitor_token": visitor["refresh_token"]}).raise_for_status()
    sign_in = {"grant_type": "password", "username": account["email"], "password": PASSWORD}
    user = shop.http.post("/auth/token", json=sign_in).json()
    eventually(lambda: listed(shop, user["access_token"]) == ["pot"])
