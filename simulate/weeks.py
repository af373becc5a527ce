"""A simulated week: each shopper visits the shop once, and the order system reports what they bought."""

import asyncio
import uuid
from collections.abc import Callable, Sequence
from typing import NamedTuple

from simulate.market import Choice, Market
from simulate.shop import ShownList, SimulatedShop, Visitor
from stack.demo.client import Json

# Shoppers who are in the shop at the same time.
_AT_ONCE = 8


class Visit(NamedTuple):
    """What a shopper was shown, and spent."""

    shopper: int
    shown: ShownList
    spent_cents: float
    value_cents: float
    """What the list earns in the mean."""
    probes: dict[str, list[str]]
    """By slot, what else the shop would have shown at this moment."""


class Week:
    """Carries out the visits of a week."""

    def __init__(self, shop: SimulatedShop, market: Market, visitors: Sequence[Visitor], slot: str) -> None:
        self._shop = shop
        self._market = market
        self._visitors = visitors
        self._slot = slot

    async def visits(self, number: int, probed: Sequence[str], probe_size: int, progress: Callable[[int], None]) -> list[Visit]:
        """One visit of each shopper, by shopper.

        probed: slots whose list is asked for before each visit
        progress: called with the number of visits so far
        """
        seats, done = asyncio.Semaphore(_AT_ONCE), 0

        async def visit(shopper: int) -> Visit:
            nonlocal done
            async with seats:
                made = await self._visit(shopper, number, probed, probe_size)
            done += 1
            progress(done)
            return made

        async with asyncio.TaskGroup() as tasks:
            made = [tasks.create_task(visit(shopper)) for shopper in range(len(self._visitors))]
        return [task.result() for task in made]

    async def probe(self, slots: Sequence[str], size: int) -> list[dict[str, list[str]]]:
        """What each shopper would be shown in these slots now, by slot."""
        seats = asyncio.Semaphore(_AT_ONCE)

        async def ask(visitor: Visitor) -> dict[str, list[str]]:
            async with seats:
                return {slot: (await visitor.look(slot, size)).product_ids for slot in slots}

        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(ask(visitor)) for visitor in self._visitors]
        return [task.result() for task in asked]

    async def _visit(self, shopper: int, number: int, probed: Sequence[str], probe_size: int) -> Visit:
        visitor = self._visitors[shopper]
        probes = {slot: (await visitor.look(slot, probe_size)).product_ids for slot in probed}
        shown = await visitor.look(self._slot)
        choice = self._market.choose(shopper, number, shown.product_ids)
        if events := _shopper_events(shown, choice):
            await visitor.record(events)
        purchases = self._purchases(visitor, shown, choice)
        if purchases:
            await self._shop.report_purchases(purchases)
        spent = float(self._market.prices[self._market.indices(shown.product_ids)][choice.bought].sum())
        return Visit(shopper, shown, spent, self._market.value(shopper, shown.product_ids), probes)

    def _purchases(self, visitor: Visitor, shown: ShownList, choice: Choice) -> list[Json]:
        """The lines of the shopper's order."""
        order = uuid.uuid4().hex
        prices = self._market.prices[self._market.indices(shown.product_ids)]
        return [
            _event("PURCHASE", shown, index)
            | {"user_id": visitor.id, "order_id": order, "quantity": 1, "unit_price_cents": int(prices[index])}
            for index, bought in enumerate(choice.bought.tolist())
            if bought
        ]


def _shopper_events(shown: ShownList, choice: Choice) -> list[Json]:
    """What the shopper's front end reports: all products of the list were shown, whether the shopper looked or not."""
    steps = (("CLICK", choice.clicked), ("VIEW", choice.clicked), ("CART", choice.carted))
    followed = [_event(kind, shown, index) for kind, flags in steps for index, flag in enumerate(flags.tolist()) if flag]
    return [_event("IMPRESSION", shown, index) for index in range(len(shown.product_ids))] + followed


def _event(kind: str, shown: ShownList, index: int) -> Json:
    return {
        "id": uuid.uuid4().hex,
        "kind": f"EVENT_KIND_{kind}",
        "product_id": shown.product_ids[index],
        "recommendation_id": shown.id,
        "model_version": shown.model_version,
        "slot": shown.slot,
        "position": index + 1,
    }
