"""Makes lists with versions in shadow, after those that are shown and off their path."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from random import Random
from time import perf_counter
from typing import NamedTuple

import structlog
from prometheus_client import Counter

from mesh.errors import Unavailable
from ml.recommender.model import Recommender
from ml.registry.challengers import Challengers
from ml.registry.champion import ServedModel
from services.recommender.catalog import CatalogFollower
from services.recommender.merchandising_feed import MerchandisingFeed
from services.recommender.pages import RecommendationPage
from services.recommender.recommendations import Recommendations
from services.recommender.repository.shadow_lists import ShadowList, ShadowListRepository

# How many lists wait at most: about a second's work.
_MAX_WAITING = 100
_MAX_ERROR_LENGTH = 500

_SKIPPED = Counter("shadow_lists_skipped", "Lists that versions in shadow did not make, since too many waited.")
_log = structlog.get_logger(__name__)

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

    def __init__(
        self,
        merchandising: MerchandisingFeed,
        challengers: Challengers[Recommender],
        catalog: CatalogFollower,
        lists: ShadowListRepository,
    ) -> None:
        self._merchandising = merchandising
        self.challengers = challengers
        self._catalog = catalog
        self.lists = lists
        self._waiting: asyncio.Queue[tuple[str, ShownList]] = asyncio.Queue(_MAX_WAITING)
        self._recommendations: dict[str, tuple[ServedModel[Recommender], Recommendations]] = {}
        # It decides on no list that anybody sees.
        self._random = Random()  # noqa: S311

    def offer(self, shown: ShownList) -> None:
        """Takes a list that was shown, for the versions in shadow that make it as well."""
        for number, shadow in self._merchandising.current.shadows.items():
            if self._random.random() < shadow.traffic_share:
                try:
                    self._waiting.put_nowait((number, shown))
                except asyncio.QueueFull:
                    _SKIPPED.inc()

    async def run(self) -> None:
        """Makes the lists, and records them, until cancelled."""
        while True:
            made = [await self._make(*await self._waiting.get())]
            while not self._waiting.empty() and len(made) < _MAX_WAITING:
                made.append(await self._make(*self._waiting.get_nowait()))
            try:
                if new := [each for each in made if each is not None]:
                    await self.lists.record(new)
            except Unavailable as error:
                _log.warning("lists made in shadow are lost", count=len(made), error=error.message)

    async def _make(self, number: str, shown: ShownList) -> ShadowList | None:
        """The list of a version; None if it is not loaded, or if its list was shown."""
        served = self.challengers.get(number)
        if served is None or (shown.page.served and shown.page.served.version.same(served.version)):
            return None
        start, error, ids = perf_counter(), "", []
        try:
            page = await shown.make(self._recommendations_of(number, served))
            ids = [each.product.id for each in page.products]
        except Exception as failure:  # noqa: BLE001 a version in shadow may fail in any way, which is what it is there to show
            error = repr(failure)[:_MAX_ERROR_LENGTH]
        milliseconds = 1000 * (perf_counter() - start)
        shown_ids = [each.product.id for each in shown.page.products]
        overlap = len({*shown_ids} & {*ids}) / len(shown_ids) if shown_ids else 1.0
        return ShadowList(shown.id, number, datetime.now(UTC), overlap, milliseconds, 1000 * shown.seconds, error, tuple(ids))

    def _recommendations_of(self, number: str, served: ServedModel[Recommender]) -> Recommendations:
        known = self._recommendations.get(number)
        if known is None or known[0] is not served:
            loaded = {each: pair for each, pair in self._recommendations.items() if self.challengers.get(each) is pair[0]}
            known = served, Recommendations(lambda: served, self._catalog)
            self._recommendations = {**loaded, number: known}
        return known[1]
