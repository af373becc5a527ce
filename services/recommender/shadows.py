"""Makes lists with versions in shadow, after those that are shown and off their path."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from random import Random
from time import perf_counter
from typing import NamedTuple

from prometheus_client import Counter

from mesh.periodic import run_periodically
from mesh.write_queue import WriteQueue
from services.recommender.merchandising_feed import MerchandisingFeed
from services.recommender.pages import RecommendationPage
from services.recommender.recommendations import Recommendations
from services.recommender.repository.shadow_lists import ShadowList, ShadowListRepository
from services.recommender.versions import LoadedVersions

# How many lists wait at most: about a second's work.
_MAX_WAITING = 100
# How many that were made wait for the database.
_MAX_UNRECORDED = 5000
_INTERVAL_SECONDS = 0.5
_MAX_ERROR_LENGTH = 500

_SKIPPED = Counter("shadow_lists_skipped", "Lists that versions in shadow did not make, since too many waited.")
_LOST = Counter("shadow_lists_lost", "Lists made in shadow that were not recorded, since too many waited for the database.")

# Makes a list like the one that was shown, without exploration.
MakeList = Callable[[Recommendations], Awaitable[RecommendationPage]]


class ShownList(NamedTuple):
    """A list that was shown."""

    id: str
    page: RecommendationPage
    seconds: float
    """How long it took."""
    make: MakeList


class Shadows:
    """Has the versions in shadow make their share of lists, one at a time while `run` runs."""

    def __init__(self, merchandising: MerchandisingFeed, versions: LoadedVersions, lists: ShadowListRepository) -> None:
        self._merchandising = merchandising
        self._versions = versions
        self.lists = lists
        self._waiting: deque[tuple[str, ShownList]] = deque()
        self._has_waiting = asyncio.Event()
        self._made = WriteQueue[ShadowList](
            lists.record, lambda _: _LOST.inc(), interval_seconds=_INTERVAL_SECONDS, batch=_MAX_WAITING, limit=_MAX_UNRECORDED
        )
        # It decides on no list that anybody sees.
        self._random = Random()  # noqa: S311

    def offer(self, shown: ShownList) -> None:
        """Takes a list that was shown, for the versions in shadow that make it as well."""
        for number, shadow in self._merchandising.current.shadows.items():
            if self._random.random() < shadow.traffic_share:
                if len(self._waiting) < _MAX_WAITING:
                    self._waiting.append((number, shown))
                    self._has_waiting.set()
                else:
                    _SKIPPED.inc()

    async def run(self) -> None:
        """Makes the lists, and records them, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(run_periodically(self._make_waiting, _INTERVAL_SECONDS, self._has_waiting))
            group.create_task(self._made.run())

    async def _make_waiting(self) -> None:
        while self._waiting:
            if (made := await self._make(*self._waiting.popleft())) is not None:
                self._made.add(made)

    async def _make(self, number: str, shown: ShownList) -> ShadowList | None:
        """The list of a version; None if it is not loaded, or if its list was shown."""
        served, recommendations = self._versions.challengers.get(number), self._versions.get(number)
        if served is None or recommendations is None or (shown.page.served and shown.page.served.version.same(served.version)):
            return None
        start, error, ids = perf_counter(), "", []
        try:
            page = await shown.make(recommendations)
            ids = [each.product.id for each in page.products]
        except Exception as failure:  # noqa: BLE001 a version in shadow may fail in any way, which is what it is there to show
            error = repr(failure)[:_MAX_ERROR_LENGTH]
        milliseconds = 1000 * (perf_counter() - start)
        shown_ids = [each.product.id for each in shown.page.products]
        overlap = len({*shown_ids} & {*ids}) / len(shown_ids) if shown_ids else 1.0
        return ShadowList(shown.id, number, datetime.now(UTC), overlap, milliseconds, 1000 * shown.seconds, error, tuple(ids))
