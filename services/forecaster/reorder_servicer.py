"""The RPCs of reordering."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import grpc.aio
from google.protobuf.message import Message

from hashiramart.forecaster.v1 import forecaster_pb2, reorder_pb2, reorder_pb2_grpc
from mesh.field_masks import check_fixed_fields, masked_fields
from mesh.idempotency import idempotent_request
from mesh.paging import PageTokens, page_size
from mesh.timestamps import write_timestamp
from ml.forecaster.accuracy import HELD_BACK
from ml.forecaster.model import Forecaster
from ml.forecaster.reorder import Outcome
from ml.forecaster.reorder_plan import backtest_policy
from ml.registry.champion import ServedModel
from services.forecaster.exports import export_suggestions
from services.forecaster.outlook import Outlook
from services.forecaster.reorder_policies import DEFAULT_ID, ReorderTerms, StoredPolicy
from services.forecaster.reorder_repository import ReorderPolicyRepository
from services.forecaster.scope_errors import scope_errors
from services.forecaster.stock import Stock
from services.forecaster.suggestions import Suggestion, policy_of, suggest

Context = grpc.aio.ServicerContext[Message, Message]


class ReorderServicer(reorder_pb2_grpc.ReorderServiceServicer):
    """Suggests what to reorder, and keeps the policies.

    serving: the model to answer from; raises `Unavailable` while there is none
    """

    def __init__(
        self,
        policies: ReorderPolicyRepository,
        stock: Stock,
        outlook: Outlook,
        page_tokens: PageTokens,
        time_zone: str,
        serving: Callable[[], ServedModel[Forecaster]],
    ) -> None:
        self._policies = policies
        self._stock = stock
        self._outlook = outlook
        self._page_tokens = page_tokens
        self._time_zone = time_zone
        self._serving = serving

    async def ListReorderPolicies(
        self, request: reorder_pb2.ListReorderPoliciesRequest, context: Context
    ) -> reorder_pb2.ListReorderPoliciesResponse:
        place, size = self._page_tokens.read(request), page_size(request.page_size)
        first = [] if place else [await self._policies.default()]
        found = [*first, *await self._policies.page(str(place[0]) if place else "", size + 1)]
        # The default comes before all products.
        end = found[size - 1].product_id if len(found) > size else ""
        return reorder_pb2.ListReorderPoliciesResponse(
            policies=map(policy_message, found[:size]),
            next_page_token=self._page_tokens.write(request, ("" if end == DEFAULT_ID else end,)) if end else "",
        )

    async def UpdateReorderPolicy(self, request: reorder_pb2.UpdateReorderPolicyRequest, context: Context) -> reorder_pb2.ReorderPolicy:
        sent = request.policy
        masked = masked_fields(sent, request.update_mask) & set(ReorderTerms._fields)

        def apply(policy: StoredPolicy) -> StoredPolicy:
            updated = policy.update(sent.etag, **{field: getattr(sent, field) for field in masked})
            check_fixed_fields("policy", sent, request.update_mask, policy_message(policy))
            return updated

        return await self._policies.update(sent.product_id, apply, idempotent_request(request))

    async def DeleteReorderPolicy(self, request: reorder_pb2.DeleteReorderPolicyRequest, context: Context) -> reorder_pb2.ReorderPolicy:
        return await self._policies.delete(request.product_id, request.etag, idempotent_request(request))

    async def ListReorderSuggestions(
        self, request: reorder_pb2.ListReorderSuggestionsRequest, context: Context
    ) -> reorder_pb2.ListReorderSuggestionsResponse:
        place, size = self._page_tokens.read(request), page_size(request.page_size)
        version, model = self._serving()
        suggestions = await self._suggest(model, request)
        chosen = [each for each in suggestions if place is None or each.place > place]
        page = chosen[:size]
        return reorder_pb2.ListReorderSuggestionsResponse(
            suggestions=map(_suggestion_message, page),
            next_page_token=self._page_tokens.write(request, page[-1].place) if len(chosen) > size else "",
            data_through_date=model.through.isoformat(),
            model_version=version.number,
            time_zone=self._time_zone,
        )

    async def ExportReorderSuggestions(
        self, request: reorder_pb2.ExportReorderSuggestionsRequest, context: Context
    ) -> AsyncIterator[forecaster_pb2.FilePiece]:
        async for piece in export_suggestions(await self._suggest(self._serving().model, request), request.format):
            yield piece

    async def GetReorderBacktest(self, request: reorder_pb2.GetReorderBacktestRequest, context: Context) -> reorder_pb2.ReorderBacktest:
        version, model = self._serving()
        terms = (await self._policies.default()).terms
        asked = {field.name: value for field, value in request.ListFields()}
        terms = terms._replace(**asked)
        terms.check()
        backtest = await asyncio.to_thread(backtest_policy, model, policy_of(terms))
        return reorder_pb2.ReorderBacktest(
            lead_time_days=terms.lead_time_days,
            review_period_days=terms.review_period_days,
            service_level_percent=terms.service_level_percent,
            forecast=_outcome_message(backtest.forecast),
            seasonal_naive=_outcome_message(backtest.seasonal_naive),
            product_count=backtest.product_count,
            first_date=(model.through - timedelta(days=HELD_BACK - 1)).isoformat(),
            last_date=model.through.isoformat(),
            model_version=version.number,
            time_zone=self._time_zone,
        )

    async def _suggest(
        self, model: Forecaster, request: reorder_pb2.ListReorderSuggestionsRequest | reorder_pb2.ExportReorderSuggestionsRequest
    ) -> list[Suggestion]:
        """The suggestions that a request asks for, in the order of their places. Raises `NotFound`, `Unavailable`."""
        products = [*(await self._stock.read()).values()]
        if request.category:
            with scope_errors():
                known = set(model.products_in(request.category))
            products = [product for product in products if product.id in known]
        policies, adjustment = await self._policies.all(), await self._outlook.adjustment(model)
        suggestions = await asyncio.to_thread(suggest, model, products, policies, adjustment.product_units())
        return [each for each in suggestions if each.quantity or not request.only_due]


def policy_message(policy: StoredPolicy) -> reorder_pb2.ReorderPolicy:
    """A policy."""
    message = reorder_pb2.ReorderPolicy(product_id=policy.product_id, etag=policy.etag, **policy.terms._asdict())
    if policy.update_time:
        write_timestamp(policy.update_time, message.update_time)
    return message


def _suggestion_message(suggestion: Suggestion) -> reorder_pb2.ReorderSuggestion:
    return reorder_pb2.ReorderSuggestion(
        product_id=suggestion.product.id,
        name=suggestion.product.name,
        quantity=suggestion.quantity,
        order_date=suggestion.order_date.isoformat() if suggestion.order_date else "",
        cover_days=suggestion.cover_days,
        stockout_probability=suggestion.stockout_probability,
        stock=suggestion.product.stock,
        on_order_units=suggestion.on_order,
        order_up_to_level=suggestion.order_up_to_level,
        expected_demand=suggestion.expected_demand,
    )


def _outcome_message(outcome: Outcome) -> reorder_pb2.ReorderOutcome:
    return reorder_pb2.ReorderOutcome(fill_rate_percent=outcome.fill_rate * 100, mean_stock_units=outcome.mean_stock)
