"""What the calendar says of the days to come, and what it makes of forecasts."""

import asyncio
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

import numpy as np

from mesh.change_feed import ChangeReader
from mesh.database import Database
from mesh.errors import Unavailable
from ml.forecaster.arrays import Integers
from ml.forecaster.model import HORIZON, Forecaster
from ml.forecaster.scenario import Adjustment, PriceChange, Scenarios
from services.forecaster.calendar import EntryDetails, closed_days
from services.forecaster.calendar_repository import CHANNEL, CalendarRepository
from services.forecaster.series import product_indices

_INTERVAL_SECONDS = 5


class _Current(NamedTuple):
    """What some entries make of the forecasts of a model."""

    model: Forecaster
    entries: Sequence[EntryDetails]
    adjustment: asyncio.Task[Adjustment]


class Outlook:
    """Follows the closures and promotions in the calendar. While PostgreSQL cannot be reached, they stay as they were."""

    def __init__(self, calendar: CalendarRepository, database: Database) -> None:
        self._calendar = calendar
        self._reader = ChangeReader(database, CHANNEL, self.refresh, _INTERVAL_SECONDS)
        self._entries: Sequence[EntryDetails] | None = None
        self._scenarios: tuple[Forecaster, asyncio.Task[Scenarios]] | None = None
        self._current: _Current | None = None

    async def run(self) -> None:
        """Follows changes until cancelled."""
        await self._reader.run()

    async def refresh(self) -> None:
        """Reads the calendar."""
        entries = await self._calendar.effective()
        if entries != self._entries:
            self._entries = entries

    def closed_days(self, through: date, count: int = HORIZON) -> list[date]:
        """The closed days among the next `count`, in order. Raises `Unavailable` while the calendar has not been read.

        through: the last day of the sales
        """
        return _closed_days(self._read_entries(), through, count)

    async def adjustment(self, model: Forecaster) -> Adjustment:
        """What the calendar makes of the forecasts of a model. It is the same object until one of them changes.

        Raises `Unavailable` while the calendar has not been read.
        """
        entries, current = self._read_entries(), self._current
        if current is None or current.model is not model or current.entries is not entries or _has_failed(current.adjustment):
            current = self._current = _Current(model, entries, asyncio.create_task(self._adjust(model, entries)))
        # A caller who gives up does not end it for the others.
        return await asyncio.shield(current.adjustment)

    async def scenarios(self, model: Forecaster) -> Scenarios:
        """The scenarios of a model, which are prepared when they are first needed."""
        if self._scenarios is None or self._scenarios[0] is not model or _has_failed(self._scenarios[1]):
            self._scenarios = model, asyncio.create_task(asyncio.to_thread(Scenarios, model))
        return await asyncio.shield(self._scenarios[1])

    async def _adjust(self, model: Forecaster, entries: Sequence[EntryDetails]) -> Adjustment:
        open_days = np.ones(HORIZON)
        open_days[[(day - model.through).days - 1 for day in _closed_days(entries, model.through, HORIZON)]] = 0.0
        changes = _price_changes(model, entries)
        if not changes:
            return Adjustment(model, open_days)
        scenarios = await self.scenarios(model)
        return await asyncio.to_thread(scenarios.adjustment, changes, open_days)

    def _read_entries(self) -> Sequence[EntryDetails]:
        if self._entries is None:
            raise Unavailable("CALENDAR_UNAVAILABLE", "the calendar has not been read yet")
        return self._entries


def _has_failed(task: asyncio.Task[Any]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)


def _closed_days(entries: Sequence[EntryDetails], through: date, count: int) -> list[date]:
    closures = ((entry.first_date, entry.last_date) for entry in entries if entry.kind == "closure")
    return closed_days(closures, through + timedelta(days=1), count)


def _price_changes(model: Forecaster, entries: Sequence[EntryDetails]) -> list[PriceChange]:
    """The prices of the promotions among the days to come. What the model does not know is left out."""
    indices = product_indices(model.scopes)
    categories = {scope.name for scope in model.scopes if scope.kind == "category"}

    def products(entry: EntryDetails) -> Integers:
        if entry.product_id:
            return np.array([indices[entry.product_id]] if entry.product_id in indices else [], dtype=np.int64)
        if entry.category:
            names = model.products_in(entry.category) if entry.category in categories else []
            return np.array([indices[name] for name in names], dtype=np.int64)
        return np.arange(len(indices))

    found = list[PriceChange]()
    for entry in entries:
        if entry.kind != "promotion":
            continue
        first, end = ((day - model.through).days for day in (entry.first_date - timedelta(days=1), entry.last_date))
        days, members = slice(max(first, 0), max(end, 0)), products(entry)
        if days.start < min(days.stop, HORIZON) and members.size:
            found.append(PriceChange(members, days, 1 - entry.discount_percent / 100))
    return found
