"""Estimates what a slot would earn with other settings, from the lists that it has shown."""

import asyncio
from datetime import tzinfo

from hashiramart.recommender.v1 import merchandising_pb2, shadows_pb2
from mesh.errors import FieldViolation, InvalidArgument
from ml.experiments.off_policy import LEAST_LISTS
from services.recommender.domain import Event, Exposure, recent_activity
from services.recommender.merchandising import Merchandising, Rule, Shopper, Slot
from services.recommender.pages import PageRequest
from services.recommender.products import ProductFilter
from services.recommender.recommendations import Recommendations
from services.recommender.repository.events import EventRepository
from services.recommender.repository.exposures import ExposureRepository
from services.recommender.repository.shadow_lists import ListPair, ShadowListRepository
from services.recommender.shadow_report import add_values

# The latest lists: some seconds of CPU time, a few milliseconds for each.
_MAX_LISTS = 1000
_LEAST_SUPPORTED_SHARE = 0.8


class SlotEstimates:
    """Makes the lists of slots as they are to be for those who were shown lists, and compares what both earn."""

    def __init__(
        self,
        recommendations: Recommendations,
        events: EventRepository,
        exposures: ExposureRepository,
        lists: ShadowListRepository,
        time_zone: tzinfo,
    ) -> None:
        """time_zone: the shop's"""
        self._recommendations = recommendations
        self._events = events
        self._exposures = exposures
        self._lists = lists
        self._time_zone = time_zone

    async def estimate(self, slot: Slot, merchandising: Merchandising, default_size: int) -> shadows_pb2.SlotEstimate:
        """What a slot would earn.

        slot: as it is to be
        merchandising: with the rules that are to hold
        default_size: of a list, for a slot that does not say
        """
        shown = [each for each in await self._exposures.page({"slot": slot.id}, "", _MAX_LISTS) if each.first_position == 1]
        histories: dict[str, list[Event]] = {}
        pairs = []
        for each in shown:
            if each.user_id not in histories:
                histories[each.user_id] = await self._history(each.user_id)
            ids = await self._list(each, histories[each.user_id], slot, merchandising, slot.size or default_size)
            pairs.append(ListPair(each.id, each.user_id, list(each.products), ids))
        estimate = shadows_pb2.SlotEstimate()
        await asyncio.to_thread(add_values, estimate, pairs, await self._lists.rewards(pairs))
        is_known = estimate.supported_share >= _LEAST_SUPPORTED_SHARE
        estimate.is_supported = is_known and estimate.effective_list_count >= LEAST_LISTS
        return estimate

    async def _history(self, user_id: str) -> list[Event]:
        """The events of a user or visitor, also those under the customer number that the latest of them tell."""
        own = await self._events.latest_of_user(user_id)
        number = next((event.customer_number for event in own if event.customer_number), "")
        return await self._events.latest_of_shopper(user_id, number) if number else own

    async def _list(self, shown: Exposure, history: list[Event], slot: Slot, merchandising: Merchandising, size: int) -> list[str]:
        """The ids of the products that a shopper would have been shown in place of a list."""
        events = [event for event in history if event.event_time < shown.create_time]
        activity = recent_activity(events, shown.create_time, self._time_zone)
        shopper = Shopper(is_visitor=False, is_new=not events, country="")
        arrangement = merchandising.arrangement(slot, shopper, shown.create_time)._replace(exploration_share=0)
        filter = ProductFilter(
            excluded_ids=[*activity.dismissed, *arrangement.excluded_ids], excluded_categories=arrangement.excluded_categories
        )
        number = next((event.customer_number for event in events if event.customer_number), shown.user_id)
        page = await self._recommendations.of_slot(slot, number, activity, [], PageRequest(filter, (), size, arrangement))
        return [each.product.id for each in page.products]


def check_estimable(slot: Slot, rules: list[Rule]) -> None:
    """Raises `InvalidArgument` with each field of what the log of exposures cannot tell about."""
    violations = []
    if slot.source == merchandising_pb2.SLOT_SOURCE_SIMILAR:
        violations.append(FieldViolation("slot.source", "cannot be estimated: the log does not tell to which product others were similar"))
    for index, rule in enumerate(rules):
        if rule.audience.countries or rule.audience.shoppers:
            violations.append(FieldViolation(f"rules[{index}].audience", "cannot be estimated: the log does not tell who belongs to it"))
    if violations:
        raise InvalidArgument("the slot '{slot}' cannot be estimated", violations=violations, slot=slot.id)
