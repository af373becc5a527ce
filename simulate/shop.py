"""The shop as the simulator uses it: by the calls that front ends, an order system and staff make."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlencode

import httpx
import jwt
from dotenv import dotenv_values

from simulate.market import MarketProduct
from stack.demo.client import Account, Json, RestError, ShopClient

Result = TypeVar("Result")
# Access tokens are valid for 15 minutes.
_TOKEN_SECONDS = 600.0
_RETRIES, _PAUSE_SECONDS = 3, 2.0
# The reasons of errors that pass.
_PASSING = ("SERVICE_UNAVAILABLE", "DATABASE_UNAVAILABLE", "temporarily_unavailable")
# The most that one call records, and that one page has.
_EVENTS, _PAGE = 500, 100


class SimulationError(Exception):
    """The simulation cannot go on; the message says why, and what to do."""


class Secrets(NamedTuple):
    """How the simulator signs in."""

    staff: Account
    order_system: str
    """The secret of the order system."""


class ShownList(NamedTuple):
    """A list as a shopper was shown it."""

    id: str
    slot: str
    product_ids: list[str]
    model_version: str
    arm: str
    """Of the experiment that the shopper takes part in; empty for none."""


class LoggedProduct(NamedTuple):
    """A product of an exposure."""

    product_id: str
    propensity: float
    kinds: Sequence[str]
    """What followed: event kinds of the contract."""


def read_secrets(folder: Path) -> Secrets:
    """The account of the demo's staff and the secret of the order system, from the folder of a stack. Raises `SimulationError`."""
    accounts, secrets = (dotenv_values(folder / name, interpolate=False) for name in ("demo.env", "secrets.env"))
    try:
        staff = Account(accounts["STAFF_EMAIL"] or "", accounts["STAFF_PASSWORD"] or "")
        return Secrets(staff, secrets["TILL_SERVICE_SECRET"] or "")
    except KeyError as error:
        raise SimulationError(f"{folder} has no demo: {error} is missing. Run `make demo` first.") from error


class Session:
    """The tokens of a grant, which are asked for again when they get old."""

    def __init__(self, shop: ShopClient, **form: str) -> None:
        self._shop = shop
        self._form = form
        self._renew_at = 0.0

    async def call(self, method: str, path: str, **content: Any) -> Json:
        """Makes a call with the access token. Raises `RestError`."""
        return await self._shop.with_token(await self.token()).call(method, path, **content)

    async def token(self) -> str:
        """The access token. Raises `RestError`."""
        if time.monotonic() > self._renew_at:
            tokens = await self._shop.grant(**self._form)
            self._access_token: str = tokens["access_token"]
            self._renew_at = time.monotonic() + _TOKEN_SECONDS
            if self._form["grant_type"] == "anonymous":
                # The same visitor for the next time.
                self._form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
        return self._access_token


class Visitor:
    """A shopper who never signs in."""

    def __init__(self, shop: ShopClient) -> None:
        self._session = Session(shop, grant_type="anonymous")
        self.id = ""
        """The visitor's id; empty before the arrival."""

    async def arrive(self) -> None:
        """Becomes a visitor. Raises `RestError`, with a time to wait when there were too many from one address."""
        token = await self._session.token()
        self.id = jwt.decode(token, options={"verify_signature": False})["sub"]

    async def look(self, slot: str, page_size: int = 0) -> ShownList:
        """The list of a slot. page_size: 0 for that of the slot"""
        query = urlencode({"slot": slot, "page_size": page_size})
        page = await retry(lambda: self._session.call("GET", f"/recommendations/me?{query}"))
        ids = [each["product"]["id"] for each in page["recommendations"]]
        arm = page["arm"].removeprefix("EXPERIMENT_ARM_").lower() if page["experiment_id"] else ""
        return ShownList(page["recommendation_id"], slot, ids, page["model_version"], arm)

    async def record(self, events: Sequence[Json]) -> None:
        """Records events, which need ids of their own, as they may be sent twice."""
        await retry(lambda: self._session.call("POST", "/events", json={"events": events}))


class SimulatedShop:
    """The shop, for staff and the order system. Each call may raise `RestError`."""

    def __init__(self, client: ShopClient, secrets: Secrets) -> None:
        self._client = client
        staff, till = secrets.staff, secrets.order_system
        self._staff = Session(client, grant_type="password", username=staff.email, password=staff.password)
        self._order_system = Session(client, grant_type="client_credentials", client_id="till", client_secret=till)

    def visitor(self) -> Visitor:
        """A new visitor, who has not arrived."""
        return Visitor(self._client)

    async def products(self) -> list[MarketProduct]:
        """The products in stock; one without a price counts as one cent."""
        products, token = [], ""
        while True:
            query = urlencode({"page_size": _PAGE, "page_token": token, "availability": "AVAILABILITY_IN_STOCK"})
            page = await self._staff.call("GET", f"/products?{query}")
            products += [MarketProduct(each["id"], each["category"], max(each["price_cents"], 1)) for each in page["products"]]
            token = page["next_page_token"]
            if not token:
                return sorted(products)

    async def report_purchases(self, purchases: Sequence[Json]) -> None:
        """Reports purchases as the shop's order system does."""
        for first in range(0, len(purchases), _EVENTS):
            body = {"events": purchases[first : first + _EVENTS]}
            await retry(partial(self._order_system.call, "POST", "/events", json=body))

    async def put_slot(self, id: str, **settings: object) -> None:
        await self._staff.call("PUT", f"/recommendations/slots/{id}", json=settings)

    async def start_experiment(self, id: str, experiment: Mapping[str, object]) -> None:
        await self._staff.call("PUT", f"/experiments/{id}", json=experiment)
        await self._staff.call("POST", f"/experiments/{id}:start", json={})

    async def experiment_report(self, id: str) -> Json:
        return await self._staff.call("GET", f"/experiments/{id}/report")

    async def conclude(self, id: str, decision: str, reason: str) -> None:
        body = {"decision": f"EXPERIMENT_DECISION_{decision}", "reason": reason}
        await self._staff.call("POST", f"/experiments/{id}:conclude", json=body)

    async def stop_experiments(self, slot: str) -> None:
        """Stops the experiments of a slot that run: those of a simulation that was interrupted."""
        for each in (await self._staff.call("GET", f"/experiments?page_size={_PAGE}"))["experiments"]:
            if each["treatment"]["id"] == slot and each["state"] == "EXPERIMENT_STATE_RUNNING":
                await self._staff.call("POST", f"/experiments/{each['id']}:stop", json={})

    async def exposures(self, slot: str, ids: frozenset[str]) -> dict[str, list[LoggedProduct]]:
        """The products of these lists of a slot, as the log has them, by the id of the list."""
        found: dict[str, list[LoggedProduct]] = {}
        token = ""
        while True:
            query = urlencode({"slot": slot, "page_size": _PAGE, "page_token": token})
            page = await self._staff.call("GET", f"/exposures?{query}")
            for exposure in page["exposures"]:
                if exposure["recommendation_id"] in ids:
                    found[exposure["recommendation_id"]] = [
                        LoggedProduct(each["product_id"], each["propensity"], each["event_kinds"]) for each in exposure["products"]
                    ]
            token = page["next_page_token"]
            if not token or len(found) == len(ids):
                return found

    async def champion(self) -> Json:
        return await self._staff.call("GET", "/models/recommender")

    async def submit_training(self, through_date: str) -> Json:
        body = {"recipe": "quick", "through_date": through_date}
        return await self._staff.call("POST", "/jobs/training/recommender", json=body)

    async def watch_job(self, id: str) -> AsyncIterator[Json]:
        """Yields the job whenever it may have changed, until it has ended."""
        while True:
            job = await retry(lambda: self._job(id))
            yield job
            if job["state"] not in ("JOB_STATE_QUEUED", "JOB_STATE_RUNNING", "JOB_STATE_CANCELLING"):
                return
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _job(self, id: str) -> Json:
        return await self._staff.call("GET", f"/jobs/{id}")


async def retry(call: Callable[[], Awaitable[Result]]) -> Result:
    """Awaits a call that may be made twice, again if no answer comes or the service is unavailable for a moment."""
    for _ in range(_RETRIES):
        with suppress(httpx.TransportError, _Unavailable):
            return await _raise_unavailable(call())
        await asyncio.sleep(_PAUSE_SECONDS)
    return await call()


class _Unavailable(Exception):
    """The service is unavailable for a moment."""


async def _raise_unavailable(answer: Awaitable[Result]) -> Result:
    try:
        return await answer
    except RestError as error:
        if error.reason in _PASSING:
            raise _Unavailable from error
        raise
