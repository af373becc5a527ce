"""The callers: a mixed load on the gateways of a stack."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar
from urllib.parse import urlencode

import httpx

from chaos.journal import FailedRead, Journal, JournaledProduct
from stack.demo.client import Account, Json, RestError, ShopClient

Response = TypeVar("Response")
# A caller's pause between two calls, on average.
PAUSE_SECONDS = 0.1
# Before a write that failed is sent again.
RETRY_SECONDS = 0.3
# Of the products that one caller creates, each costs a look at the end.
MAX_PRODUCTS = 40
# Passwords are hashed slowly on purpose, and sign-ins from one address have a limit.
SIGN_IN_SECONDS = 2.0
JOB_SECONDS = 40.0
# A token is valid for 15 minutes.
RENEWAL_SECONDS = 300.0
SHOWN_PRODUCTS = 100
# No fault lasts as long: what is not acknowledged then never will be.
GIVE_UP_SECONDS = 180.0
PASSWORD = "correct horse battery"  # noqa: S105 of accounts that exist for the length of a run


class GivenUpError(Exception):
    """A write was not acknowledged for too long."""


class Gateways:
    """The gateways as behind a balancer: one that does not answer is passed over."""

    def __init__(self, clients: Sequence[ShopClient]) -> None:
        self._clients = clients
        self._next = 0

    async def call(self, token: str, method: str, path: str, **content: Any) -> Json:
        """Raises `RestError`, with a reason that begins with UNREACHABLE if no gateway answers."""
        return await self._on_any(lambda client: client.with_token(token).call(method, path, **content))

    async def sign_up(self, account: Account) -> None:
        await self._on_any(lambda client: client.sign_up(account, "Chaos"))

    async def token(self, account: Account) -> str:
        grant = await self._on_any(lambda client: client.grant(grant_type="password", username=account.email, password=account.password))
        return str(grant["access_token"])

    async def _on_any(self, call: Callable[[ShopClient], Awaitable[Response]]) -> Response:
        self._next = (self._next + 1) % len(self._clients)
        # Other calls move the turn meanwhile, and this one has to try each gateway.
        for client in (*self._clients[self._next :], *self._clients[: self._next]):
            try:
                return await call(client)
            except (httpx.TransportError, ValueError) as error:
                failure = error
        raise RestError(f"UNREACHABLE ({type(failure).__name__})", "no gateway answers") from failure


class Callers:
    """All callers of a run. They share a journal, and end when they are asked to."""

    def __init__(self, gateways: Gateways, staff: Account, run: str, seed: int) -> None:
        self.journal = Journal()
        self.run = run
        """The name of the run, with which its products and accounts begin."""
        self.ending = asyncio.Event()
        self._gateways = gateways
        self._staff = staff
        self._random = random.Random(seed)  # noqa: S311 no secret
        self._staff_token = ""

    async def sign_in(self) -> None:
        self._staff_token = await self._gateways.token(self._staff)

    async def call_until_end(self) -> None:
        """Runs the callers until `ending` is set and their last writes have been acknowledged."""
        reads = (self._read_product, self._list_products, self._list_jobs, self._list_popular)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(2):
                tasks.create_task(self._repeat(PAUSE_SECONDS, lambda: self._random.choice(reads)()))
            for number in range(2):
                tasks.create_task(self._repeat(PAUSE_SECONDS * 2, self._writer(number)))
            tasks.create_task(self._repeat(PAUSE_SECONDS * 2, self._record_events))
            tasks.create_task(self._repeat(SIGN_IN_SECONDS, self._sign_up_and_in))
            tasks.create_task(self._repeat(JOB_SECONDS, self._submit_job))
            tasks.create_task(self._renew_token())

    async def _repeat(self, pause: float, step: Callable[[], Awaitable[None]]) -> None:
        while not self.ending.is_set():
            try:
                await step()
            except GivenUpError as error:
                self.journal.wrong.append(str(error))
                return
            await self._rest(pause * self._random.uniform(0.5, 1.5))

    async def _rest(self, seconds: float) -> None:
        """Waits, but not beyond the end."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.ending.wait(), seconds)

    async def _renew_token(self) -> None:
        """Signs the staff in again before the token expires."""
        await self._rest(RENEWAL_SECONDS)
        while not self.ending.is_set():
            self._staff_token = await self._write("sign-in", lambda: self._gateways.token(self._staff))
            await self._rest(RENEWAL_SECONDS)

    async def _read(self, kind: str, path: str) -> Json | None:
        """The response, or None, with a note, if there was an error."""
        began = time.monotonic()
        try:
            response = await self._gateways.call(self._staff_token, "GET", path)
        except RestError as error:
            self.journal.failed_reads.append(FailedRead(kind, error.reason, began, time.monotonic()))
            return None
        self.journal.calls[kind] += 1
        return response

    async def _write(self, kind: str, call: Callable[[], Awaitable[Response]]) -> Response:
        """Repeats a call that may be repeated until it succeeds. Raises `GivenUpError`."""
        began = time.monotonic()
        while True:
            try:
                response = await call()
            except RestError as error:
                if time.monotonic() - began > GIVE_UP_SECONDS:
                    raise GivenUpError(f"{kind}: still {error.reason} after {GIVE_UP_SECONDS:.0f} s: {error}") from error
                self.journal.retries[f"{kind} after {error.reason}"] += 1
                await asyncio.sleep(max(error.retry_after_seconds, RETRY_SECONDS))
            else:
                self.journal.calls[kind] += 1
                return response

    async def _read_product(self) -> None:
        created = [name for name, product in self.journal.products.items() if product.id]
        if created:
            name = self._random.choice(created)
            product = self.journal.products[name]
            since = product.confirmed
            if response := await self._read("product", f"/products/{product.id}"):
                self.journal.check_price(name, since, response["price_cents"])

    async def _list_products(self) -> None:
        """Lists the run's products: each that was there before has to be in the list."""
        before = {name: product.confirmed for name, product in self.journal.products.items() if product.id}
        query = urlencode({"category": self.run, "page_size": SHOWN_PRODUCTS, "order_by": "create_time"})
        if page := await self._read("list", f"/products?{query}"):
            listed = {each["name"]: each["price_cents"] for each in page["products"]}
            self.journal.wrong += [f"{name} is missing in a list" for name in before.keys() - listed.keys()]
            for name in before.keys() & listed.keys():
                self.journal.check_price(name, before[name], listed[name])

    async def _list_jobs(self) -> None:
        before = {id for ids in self.journal.jobs.values() for id in ids}
        if page := await self._read("jobs", "/jobs?page_size=100"):
            self.journal.wrong += [f"job {id} is missing in a list" for id in before - {each["id"] for each in page["jobs"]}]

    async def _list_popular(self) -> None:
        await self._read("popular", "/recommendations/popular")

    def _writer(self, number: int) -> Callable[[], Awaitable[None]]:
        """A writer of products of its own, one call after the other."""
        names: list[str] = []
        versions = iter(range(1, 1_000_000))

        async def step() -> None:
            create = len(names) < MAX_PRODUCTS and (not names or self._random.random() < 1 / 4)
            name = f"{self.run} {number} {len(names)}" if create else self._random.choice(names)
            product = self.journal.products.setdefault(name, JournaledProduct())
            product.attempted += 1
            # A failed try is repeated with the same id.
            query = urlencode({"request_id": f"{self.run}-{number}-{next(versions)}"})
            price = {"price_cents": product.attempted}
            method, path = ("POST", "/products") if create else ("PATCH", f"/products/{product.id}")
            body = {"name": name, "category": self.run, **price} if create else price
            response = await self._write("product written", lambda: self._send(method, f"{path}?{query}", body))
            product.id, product.confirmed = response["id"], product.attempted
            if create:
                names.append(name)

        return step

    async def _send(self, method: str, path: str, body: Json) -> Json:
        return await self._gateways.call(self._staff_token, method, path, json=body)

    async def _record_events(self) -> None:
        """Records an event, which counts once however often it is sent."""
        ids = [product.id for product in self.journal.products.values() if product.id]
        if ids:
            event = {"id": f"{self.run}-{len(self.journal.events)}", "kind": "EVENT_KIND_VIEW", "product_id": self._random.choice(ids)}
            await self._write("event", lambda: self._send("POST", "/events", {"events": [event]}))
            self.journal.events.append(event["id"])

    async def _sign_up_and_in(self) -> None:
        account = Account(f"{self.run}-{len(self.journal.accounts)}@example.com", PASSWORD)

        async def sign_up() -> None:
            try:
                await self._gateways.sign_up(account)
            except RestError as error:
                # An earlier try has arrived.
                if error.reason != "EMAIL_TAKEN":
                    raise

        await self._write("sign-up", sign_up)
        self.journal.accounts.append(account.email)
        await self._write("sign-in", lambda: self._gateways.token(account))

    async def _submit_job(self) -> None:
        """Submits an ETL by three callers at once with one request id."""
        request = f"{self.run}-job-{len(self.journal.jobs)}"
        ids = self.journal.jobs[request]

        async def submit() -> None:
            body = {"full": True, "request_id": request}
            job = await self._write("submitted", lambda: self._send("POST", "/jobs/etl", body))
            ids.add(job["id"])

        await asyncio.gather(*(submit() for _ in range(3)))
