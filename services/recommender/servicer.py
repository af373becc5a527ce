"""The RPCs of the recommender service."""

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from functools import partial
from time import perf_counter
from zoneinfo import ZoneInfo

import grpc.aio
import structlog
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from prometheus_client import Counter

from hashiramart.recommender.v1 import merchandising_pb2, recommender_pb2, recommender_pb2_grpc, shadows_pb2
from mesh.errors import NotFound, StatusError, Unavailable
from mesh.idempotency import idempotent_request
from mesh.identity import Caller, Role, caller
from mesh.ids import new_id
from mesh.paging import PageTokens, page_size
from ml.recommender.model import Recommender
from ml.registry.champion import Champion
from ml.registry.client import RegistryClient
from services.recommender.arrangement import Arrangement
from services.recommender.catalog import CatalogFollower
from services.recommender.domain import Event, RecentActivity, merge_purchases, purchase_key, recent_activity
from services.recommender.experiment_servicer import ExperimentServicer
from services.recommender.experiments import Experiment, Participation, arm_versions, participation
from services.recommender.exposure_log import ExposureLog
from services.recommender.merchandising import ArmSettings, Shopper, Slot
from services.recommender.merchandising_feed import MerchandisingFeed
from services.recommender.messages import (
    CustomerRequest,
    ListRequest,
    arm_name,
    arm_value,
    availability,
    customer_filter,
    event_message,
    exposure,
    exposure_message,
    include_purchased,
    list_message,
    preview_time,
    purchase_message,
    valid_time,
)
from services.recommender.new_events import EventRules, new_events
from services.recommender.pages import PageRequest, RecommendationPage
from services.recommender.products import ProductFilter
from services.recommender.recommendations import Recommendations, history_start, purchase_history
from services.recommender.repository.events import EventRepository
from services.recommender.repository.exposures import ExposureRepository
from services.recommender.repository.participants import ParticipantRepository
from services.recommender.rule_checks import check_rule
from services.recommender.shadows import MakeList, Shadows, ShownList
from services.recommender.slot_estimates import SlotEstimates, check_estimable
from services.recommender.stock_outlook import StockOutlook
from services.recommender.versions import LoadedVersions

_log = structlog.get_logger(__name__)

Context = grpc.aio.ServicerContext[Message, Message]
ListResponse = recommender_pb2.ListRecommendationsResponse

# How many products and events a page has if the request does not say, and the most events it may have.
_DEFAULT_LIST_SIZE = 10
_DEFAULT_EXPORT_SIZE, _MAX_EXPORT_SIZE = 1000, 10_000
# How far back order systems may report before there is a model, which has the sales history.
_HISTORY_WITHOUT_MODEL = timedelta(days=3650)
# With 0 in all replicas, nobody is missing in experiments.
_PAUSED = Counter("experiment_lists_without_version", "Lists outside of an experiment, as one of its versions was not loaded.")
_SHOPPERS = frozenset({Role.VISITOR, Role.CUSTOMER, Role.STAFF, Role.ADMIN})


class RecommenderServicer(ExperimentServicer, recommender_pb2_grpc.RecommenderServiceServicer):
    """Recommends products, and records what users do with them."""

    def __init__(
        self,
        registry: RegistryClient,
        champion: Champion[Recommender],
        catalog: CatalogFollower,
        events: EventRepository,
        exposures: ExposureRepository,
        exposure_log: ExposureLog,
        merchandising: MerchandisingFeed,
        participants: ParticipantRepository,
        versions: LoadedVersions,
        shadows: Shadows,
        page_tokens: PageTokens,
        time_zone: ZoneInfo,
        *,
        shopper_orders_count: bool,
        stock_outlook: StockOutlook,
        required_shadow_lists: int,
    ) -> None:
        """time_zone: the shop's
        shopper_orders_count: whether purchases and returns that shoppers report count for others
        required_shadow_lists: how many lists a version has to make in shadow before it is promoted, or in an experiment
        """
        super().__init__(
            registry,
            champion,
            catalog,
            page_tokens,
            time_zone.key,
            merchandising.repository,
            participants,
            versions,
            shadows,
            required_shadow_lists,
        )
        self._recommendations = Recommendations(lambda: champion.serving, catalog)
        self._slot_estimates = SlotEstimates(self._recommendations, events, exposures, shadows.lists, time_zone)
        self._events = events
        self._exposures = exposures
        self._exposure_log = exposure_log
        self._merchandising = merchandising
        self._shop_zone = time_zone
        self._shopper_orders_count = shopper_orders_count
        self._stock_outlook = stock_outlook

    async def ListRecommendations(self, request: recommender_pb2.ListRecommendationsRequest, context: Context) -> ListResponse:
        user, slot = caller(), self._slot(request.slot)
        settings, participation = await self._settings(slot, user)
        slot, merchandising, version = settings
        events = await _latest(self._events.latest_of_shopper(user.subject, user.customer_number or ""))
        shopper = Shopper(user.role is Role.VISITOR, is_new=not events, country=request.country)
        arrangement = self._stock_outlook.applied_to(merchandising.arrangement(slot, shopper, datetime.now(UTC)))
        activity = self._recent_activity(events)
        filter = customer_filter(request, activity, arrangement)
        size = page_size(request.page_size, slot.size or _DEFAULT_LIST_SIZE)
        earlier = self._page_tokens.read(request) or ()

        async def make(recommendations: Recommendations, arrangement: Arrangement) -> RecommendationPage:
            return await recommendations.of_slot(
                slot,
                # The sales history has the purchases of a user without a number under the user's id.
                user.customer_number or user.subject,
                activity,
                list(request.basket_ids),
                PageRequest(filter, earlier, size, arrangement),
                product_id=request.product_id,
                country=request.country,
                include_purchased=include_purchased(request),
            )

        start = perf_counter()
        page = await self._page_of(version, partial(make, arrangement=arrangement))
        seconds = perf_counter() - start
        response = self._exposed_response(request, page, request.slot, participation)
        # Versions in shadow are compared with the champion, not with that of an arm.
        if not earlier and page.served is self._champion.serving:
            unexplored = arrangement._replace(exploration_share=0)
            self._shadows.offer(ShownList(response.recommendation_id, page, seconds, partial(make, arrangement=unexplored)))
        return response

    async def PreviewRecommendations(self, request: merchandising_pb2.PreviewRecommendationsRequest, context: Context) -> ListResponse:
        number, slot = request.customer_number, request.slot
        written = self._merchandising.current
        for index, rule in enumerate(request.rules):
            check_rule(rule, {*written.slots, slot.id}, self._catalog.products, f"rules[{index}]")
        events = await _latest(self._events.latest_of_customer(number)) if number else []
        shopper = Shopper(is_visitor=not number, is_new=not number, country=request.country)
        arrangement = self._stock_outlook.applied_to(written.with_drafts(request.rules).arrangement(slot, shopper, preview_time(request)))
        activity = self._recent_activity(events)
        excluded = [*activity.dismissed, *arrangement.excluded_ids]
        filter = ProductFilter(excluded_ids=excluded, excluded_categories=arrangement.excluded_categories)
        page_request = PageRequest(filter, (), slot.size or _DEFAULT_LIST_SIZE, arrangement)
        page = await self._recommendations.of_slot(
            slot, number, activity, [], page_request, product_id=request.product_id, country=request.country
        )
        return list_message(page, "", self._time_zone)

    async def EstimateSlot(self, request: shadows_pb2.EstimateSlotRequest, context: Context) -> shadows_pb2.SlotEstimate:
        slot, rules, written = request.slot, list(request.rules), self._merchandising.current
        self._slot(slot.id)
        for index, rule in enumerate(rules):
            check_rule(rule, written.slots, self._catalog.products, f"rules[{index}]")
        check_estimable(slot, rules)
        return await self._slot_estimates.estimate(slot, written.with_drafts(rules), _DEFAULT_LIST_SIZE)

    async def ListSimilarProducts(self, request: recommender_pb2.ListSimilarProductsRequest, context: Context) -> ListResponse:
        filter = ProductFilter(availability=availability(request), excluded_ids=[request.product_id])
        return self._exposed_response(request, await self._recommendations.similar(request.product_id, self._page_request(request, filter)))

    async def ListPopularProducts(self, request: recommender_pb2.ListPopularProductsRequest, context: Context) -> ListResponse:
        filter = ProductFilter(request.category, availability(request))
        return self._exposed_response(request, await self._recommendations.popular(request.country, self._page_request(request, filter)))

    async def ListCustomerRecommendations(
        self, request: recommender_pb2.ListCustomerRecommendationsRequest, context: Context
    ) -> ListResponse:
        events = await _latest(self._events.latest_of_customer(request.customer_number))
        if not events and request.customer_number not in self.serving.model.customer_indices:
            raise NotFound("customer", request.customer_number)
        return self._response(request, await self._list_for_customer(request.customer_number, events, request))

    async def ListCustomerPurchases(
        self, request: recommender_pb2.ListCustomerPurchasesRequest, context: Context
    ) -> recommender_pb2.ListCustomerPurchasesResponse:
        after, size = self._page_tokens.read(request), page_size(request.page_size)
        model, products = self.serving.model, self._catalog.products
        events = await _latest(self._events.latest_of_customer(request.customer_number))
        recent = self._recent_activity(events).purchases
        purchases = await asyncio.to_thread(lambda: merge_purchases(purchase_history(model, request.customer_number), recent))
        if not purchases:
            raise NotFound("customer", request.customer_number)
        following = [purchase for purchase in purchases if purchase_key(purchase) > after] if after else purchases
        page = following[:size]
        return recommender_pb2.ListCustomerPurchasesResponse(
            purchases=(purchase_message(purchase, products) for purchase in page),
            next_page_token=self._page_tokens.write(request, purchase_key(page[-1])) if len(following) > size else "",
            time_zone=self._time_zone,
        )

    async def RecordEvents(self, request: recommender_pb2.RecordEventsRequest, context: Context) -> recommender_pb2.RecordEventsResponse:
        user = caller()
        events = new_events(request, self._event_rules(user))
        user_id = "" if user.role is Role.SYSTEM else user.subject
        recorded = await self._events.record(events, idempotent_request(request), user_id=user_id, is_visitor=user.role is Role.VISITOR)
        return recommender_pb2.RecordEventsResponse(recorded_count=recorded, duplicate_count=len(events) - recorded)

    async def ListEvents(self, request: recommender_pb2.ListEventsRequest, context: Context) -> recommender_pb2.ListEventsResponse:
        place, size = self._page_tokens.read(request), page_size(request.page_size, _DEFAULT_EXPORT_SIZE, _MAX_EXPORT_SIZE)
        page = await self._events.page_after(int(str(place[0])) if place else request.after_number, size)
        return recommender_pb2.ListEventsResponse(
            events=map(event_message, page.events),
            next_page_token=self._page_tokens.write(request, (page.through,)) if page.has_more else "",
            end_number=page.through,
            forgotten_user_ids=page.forgotten_user_ids,
        )

    async def HandOverVisitor(self, request: recommender_pb2.HandOverVisitorRequest, context: Context) -> Empty:
        await self._events.hand_over(request.visitor_id, request.user_id, request.customer_number)
        _log.info("visitor handed over", visitor_id=request.visitor_id, user_id=request.user_id)
        return Empty()

    async def ListExposures(self, request: recommender_pb2.ListExposuresRequest, context: Context) -> recommender_pb2.ListExposuresResponse:
        place, size = self._page_tokens.read(request), page_size(request.page_size)
        conditions = {
            "id": request.recommendation_id,
            "user_id": request.user_id,
            "slot": request.slot,
            "experiment_id": request.experiment_id,
            "arm": arm_name(request.arm),
            "rule_id": request.rule_id,
        }
        found = await self._exposures.page(conditions, str(place[0]) if place else "", size + 1)
        page = found[:size]
        attributions = await self._exposures.attributions(page)
        return recommender_pb2.ListExposuresResponse(
            exposures=(exposure_message(exposure, attributions) for exposure in page),
            next_page_token=self._page_tokens.write(request, (page[-1].id,)) if len(found) > size else "",
        )

    async def ListExposureLog(
        self, request: recommender_pb2.ListExposureLogRequest, context: Context
    ) -> recommender_pb2.ListExposureLogResponse:
        place, size = self._page_tokens.read(request), page_size(request.page_size, _DEFAULT_EXPORT_SIZE, _MAX_EXPORT_SIZE)
        after = int(str(place[0])) if place else request.after_number
        page = await self._exposures.log_page(after, valid_time(request.before_time, "before_time"), size)
        attributions = await self._exposures.attributions(page.exposures)
        return recommender_pb2.ListExposureLogResponse(
            exposures=(exposure_message(exposure, attributions) for exposure in page.exposures),
            next_page_token=self._page_tokens.write(request, (page.through,)) if page.has_more else "",
            end_number=page.through,
        )

    async def ForgetUser(self, request: recommender_pb2.ForgetUserRequest, context: Context) -> Empty:
        await self._events.forget_user(request.user_id)
        _log.info("user forgotten", user_id=request.user_id)
        return Empty()

    async def _list_for_customer(self, customer_number: str, events: list[Event], request: CustomerRequest) -> RecommendationPage:
        activity = self._recent_activity(events)
        return await self._recommendations.for_customer(
            customer_number,
            activity,
            list(request.basket_ids),
            self._page_request(request, customer_filter(request, activity, Arrangement())),
            include_purchased=include_purchased(request),
        )

    def _slot(self, id: str) -> Slot:
        """Raises `NotFound`. A list without a slot, or before the slots were read, is as the model has it."""
        if not id or not self._merchandising.is_read:
            return Slot()
        if (slot := self._merchandising.current.slots.get(id)) is None:
            raise NotFound("slot", id)
        return slot

    def _event_rules(self, user: Caller) -> EventRules:
        serving, catalog = self._champion.serving, self._catalog
        model_ids = serving.model.product_indices if serving else {}

        def is_product(id: str) -> bool:
            # Before the catalogue is here, nobody can tell.
            return not catalog.is_filled or id in model_ids or catalog.products.get(id) is not None

        now = datetime.now(UTC)
        start = history_start(serving.model, self._shop_zone) if serving else None
        return EventRules(user, now, is_product, start or now - _HISTORY_WITHOUT_MODEL, self._shopper_orders_count)

    def _recent_activity(self, events: list[Event]) -> RecentActivity:
        return recent_activity(events, datetime.now(UTC), self._shop_zone)

    def _page_request(self, request: ListRequest, filter: ProductFilter) -> PageRequest:
        return PageRequest(filter, self._page_tokens.read(request) or (), page_size(request.page_size, _DEFAULT_LIST_SIZE))

    def _response(self, request: ListRequest, page: RecommendationPage) -> ListResponse:
        return list_message(page, self._page_tokens.write(request, page.end) if page.end else "", self._time_zone)

    async def _settings(self, slot: Slot, user: Caller) -> tuple[ArmSettings, Participation | None]:
        """What makes the caller's list in a slot, and the arm of the experiment that runs in it, if the caller takes part."""
        current = self._merchandising.current
        experiment = current.running.get(slot.id)
        found = await self._participation(experiment, user) if experiment else None
        return (current.arm(slot, found.arm) if found else ArmSettings(slot, current)), found

    async def _participation(self, experiment: Experiment, user: Caller) -> Participation | None:
        """The caller's arm of an experiment that runs; None for one who takes no part."""
        if not all(self._versions.challengers.get(version) for version in arm_versions(experiment)):
            # Neither arm has shoppers here until both can be served, so that they stay comparable.
            _PAUSED.inc()
            return None
        subject = user.subject
        if user.role is not Role.VISITOR:
            try:
                subject = await self._participants.assigned_id(subject)
            except Unavailable:
                _log.warning("assigning without knowing who signed up as a visitor")
        return participation(experiment, subject)

    async def _page_of(self, version: str, make: MakeList) -> RecommendationPage:
        """A list that a version makes, or the champion, if the version is empty or fails."""
        recommendations = self._versions.get(version) if version else None
        if recommendations is not None:
            try:
                return await make(recommendations)
            except StatusError:
                raise
            except Exception as error:  # noqa: BLE001 a version may fail in any way, and the shopper is not to notice
                # Without the traceback, as it may be so for every list.
                _log.error("the champion makes a list that a version of an experiment cannot make", version=version, error=repr(error))
        return await make(self._recommendations)

    def _exposed_response(
        self, request: ListRequest, page: RecommendationPage, slot: str = "", participation: Participation | None = None
    ) -> ListResponse:
        """The response to a shopper, which is logged under a new id, unless there is no token."""
        response, shopper = self._response(request, page), caller()
        if shopper.role in _SHOPPERS:
            response.recommendation_id = new_id()
            if participation:
                response.experiment_id, response.arm = participation.experiment_id, arm_value(participation.arm)
            self._exposure_log.add(exposure(page, response.recommendation_id, shopper, slot, participation, datetime.now(UTC)))
        return response


async def _latest(events: Awaitable[list[Event]]) -> list[Event]:
    """The events, or none while the database is unavailable: recommendations without them are better than none."""
    try:
        return await events
    except Unavailable:
        _log.warning("answering without the latest events")
        return []
