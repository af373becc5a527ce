"""The RPCs of the forecaster service."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date

import grpc.aio
from google.protobuf.message import Message

from hashiramart.forecaster.v1 import forecaster_pb2, forecaster_pb2_grpc
from mesh.errors import InvalidArgument
from mesh.paging import PageTokens, page_size
from mesh.settings import ShopSettings
from ml.forecaster.forecasts import Point, Scope
from ml.forecaster.model import Forecaster
from ml.registry.champion import Champion
from ml.registry.client import RegistryClient
from services.forecaster import messages
from services.forecaster.exports import export_forecasts
from services.forecaster.outlook import Outlook
from services.forecaster.product_names import ProductNames
from services.forecaster.scenarios import write_scenario
from services.forecaster.scope_errors import scope_errors
from services.forecaster.series import select_series, series_key
from services.models import ModelServicer

Context = grpc.aio.ServicerContext[Message, Message]


class ForecasterServicer(ModelServicer[Forecaster], forecaster_pb2_grpc.ForecasterServiceServicer):
    """Forecasts, explanations and backtests of the champion."""

    def __init__(
        self,
        registry: RegistryClient,
        champion: Champion[Forecaster],
        page_tokens: PageTokens,
        product_names: ProductNames,
        shop: ShopSettings,
        outlook: Outlook,
    ) -> None:
        super().__init__(registry, champion, page_tokens, shop.time_zone.key)
        self._product_names = product_names
        self._currency = shop.currency
        self._outlook = outlook

    def data_through(self) -> date | None:
        """The last day of the sales that the served model knows; None while there is none."""
        return self._champion.serving.model.through if self._champion.serving else None

    async def ListForecastSeries(
        self, request: forecaster_pb2.ListForecastSeriesRequest, context: Context
    ) -> forecaster_pb2.ListForecastSeriesResponse:
        place, size = self._page_tokens.read(request), page_size(request.page_size)
        version, model = self.serving
        following = select_series(model.scopes, messages.scope_kind(request), request.prefix, place)
        page = following[:size]
        names = await self._product_names.read([scope.name for scope in page if scope.kind == "product"])
        return forecaster_pb2.ListForecastSeriesResponse(
            series=(messages.series_message(scope, names, model.sales_days(scope)) for scope in page),
            next_page_token=self._page_tokens.write(request, series_key(page[-1])) if len(following) > size else "",
            data_through_date=model.through.isoformat(),
            model_version=version.number,
            time_zone=self._time_zone,
        )

    async def ForecastSales(self, request: forecaster_pb2.ForecastSalesRequest, context: Context) -> forecaster_pb2.ForecastSalesResponse:
        version, model = self.serving
        scope, metric, granularity = messages.scope(request), messages.metric(request), messages.granularity(request)
        response = forecaster_pb2.ForecastSalesResponse(
            data_through_date=model.through.isoformat(),
            model_version=version.number,
            metric=request.metric or forecaster_pb2.METRIC_UNITS,
            granularity=request.granularity or forecaster_pb2.GRANULARITY_DAY,
            currency_code=self._currency if request.metric == forecaster_pb2.METRIC_REVENUE else "",
            time_zone=self._time_zone,
            closed_dates=(day.isoformat() for day in self._outlook.closed_days(model.through, messages.horizon_days(request))),
        )
        adjustment = await self._outlook.adjustment(model)
        # The model holds its forecasts ready: to read one takes less than a millisecond, which is not worth a thread.
        with scope_errors():
            factors = adjustment.factors(scope, metric)
            points = model.forecast(scope, metric, messages.horizon_days(request), granularity, messages.levels(request), factors)
            messages.write_points(points, response)
            messages.write_history(model.history(scope, metric, messages.history_days(request), granularity), response)
        if request.HasField("scenario"):
            await asyncio.to_thread(write_scenario, request, model, await self._outlook.scenarios(model), adjustment, response)
        return response

    async def BatchForecastSales(
        self, request: forecaster_pb2.BatchForecastSalesRequest, context: Context
    ) -> AsyncIterator[forecaster_pb2.BatchForecastSalesResponse]:
        version, model = self.serving
        metric, granularity, levels = messages.metric(request), messages.granularity(request), messages.levels(request)
        adjustment = await self._outlook.adjustment(model)
        for scope in self._batch_scopes(model, request):
            response, factors = messages.batch_message(scope, version.number, self._time_zone), adjustment.factors(scope, metric)
            messages.write_points(model.forecast(scope, metric, messages.horizon_days(request), granularity, levels, factors), response)
            yield response

    async def ExportForecasts(
        self, request: forecaster_pb2.ExportForecastsRequest, context: Context
    ) -> AsyncIterator[forecaster_pb2.FilePiece]:
        version, model = self.serving
        metric, granularity, levels = messages.metric(request), messages.granularity(request), messages.levels(request)
        adjustment = await self._outlook.adjustment(model)

        def forecast(scope: Scope) -> list[Point]:
            factors = adjustment.factors(scope, metric)
            return model.forecast(scope, metric, messages.horizon_days(request), granularity, levels, factors)

        async for piece in export_forecasts(
            self._batch_scopes(model, request), forecast, levels, model.through, version.number, request.format
        ):
            yield piece

    async def ExplainForecast(
        self, request: forecaster_pb2.ExplainForecastRequest, context: Context
    ) -> forecaster_pb2.ExplainForecastResponse:
        version, model = self.serving
        response = forecaster_pb2.ExplainForecastResponse(
            data_through_date=model.through.isoformat(), model_version=version.number, time_zone=self._time_zone
        )
        scope, metric = messages.scope(request), messages.metric(request)
        adjustment = await self._outlook.adjustment(model)
        with scope_errors():
            factors = adjustment.factors(scope, metric)
            explanations = await asyncio.to_thread(model.explain, scope, metric, messages.horizon_days(request), factors)
        messages.write_explanations(explanations, response)
        return response

    @staticmethod
    def _batch_scopes(model: Forecaster, request: messages.ManyRequest) -> list[Scope]:
        """The series of a batch, by key. Raises `InvalidArgument`, `NotFound`."""
        kind = messages.scope_kind(request) or "product"
        if not request.category:
            return select_series(model.scopes, kind, "", None)
        if kind != "product":
            raise InvalidArgument("a category has products, and no series of another level", field="category")
        with scope_errors():
            return [Scope("product", name) for name in sorted(model.products_in(request.category))]

    async def GetBacktest(self, request: forecaster_pb2.GetBacktestRequest, context: Context) -> forecaster_pb2.Backtest:
        version, model = self.serving
        with scope_errors():
            backtest = model.backtest(messages.scope(request), messages.metric(request))
        return messages.backtest_message(backtest, version.number, self._time_zone)
