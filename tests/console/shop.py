"""The shop that the console shows: small models on disk, as services have them that served them last, and their products."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from ml.forecaster.train import refit
from stack.settings import Settings
from tests.e2e.stack import Stack
from tests.ml.forecaster.shop import PRICES, PRODUCTS, SMALL, write_shop
from tests.services.recommender import world

EMAIL, PASSWORD = "boss@example.com", "a password of the boss"
CUSTOMER = "04"
MUGS = 130


def save_models(folder: Path, work: Path) -> None:
    """Saves a champion of each model where the services of a stack with this folder look for it when they start."""
    data = Settings(stack_folder=folder).data
    for model, name in ((world.train(), "recommender"), (refit(write_shop(work), SMALL), "forecaster")):
        (data / name).mkdir(parents=True)
        world.save_as_champion(model, data / name)


def fill(stack: Stack) -> None:
    """Creates the admin and the products of a stack."""
    admin = [sys.executable, "-m", "services.auth.admin", "create-admin", "--email", EMAIL]
    assert stack.run("run", "auth", *admin, text=f"{PASSWORD}\n").returncode == 0
    with signed_in(stack) as http:
        answer = http.post("/products:import", content="\n".join(map(json.dumps, _products()))).raise_for_status().json()
        assert answer["failed_count"] == 0


@contextmanager
def signed_in(stack: Stack) -> Iterator[httpx.Client]:
    """A client of the REST API, as the admin."""
    with httpx.Client(base_url=stack.rest, timeout=30) as http:
        token = http.post("/auth/token", data={"grant_type": "password", "username": EMAIL, "password": PASSWORD}).raise_for_status().json()
        http.headers["authorization"] = f"Bearer {token['access_token']}"
        yield http


def _products() -> Iterator[dict[str, object]]:
    for request in world.products():
        product = request.product
        yield {
            "id": product.id,
            "name": product.name,
            "category": product.category,
            "price_cents": product.price_cents,
            "stock": product.stock,
        }
    for name, category in PRODUCTS.items():
        yield {"id": name, "name": f"A {name}", "category": category, "price_cents": round(100 * PRICES[name]), "stock": 40}
    for number in range(MUGS):
        yield {"id": f"P{number:03}", "name": f"Mug {number}", "category": "Kitchen", "price_cents": 100 + number}
    yield {"id": "T1", "name": "Red teapot", "price_cents": 1250, "stock": 3}
