"""The RPCs of the forecaster service."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import grpc.aio
from google.protobuf.message import Message

from hashiramart.forecaster.v1 import forecaster_pb2, forecaster_pb2_grpc
from mesh.errors import NotFound
from mesh.paging import PageTokens
from ml.forecaster.forecasts import ScopeNotFound
from ml.forecaster.model import Forecaster
from ml.registry.champion import Champion
from ml.registry.client import RegistryClient
from services.forecaster import messages
from services.models import ModelServicer

Context = grpc.aio.ServicerContext[Message, Message]


class ForecasterServicer(ModelServicer[Forecaster], forecaster_pb2_grpc.ForecasterServiceServicer):
    """Forecasts, explanations and backtests of the champion."""

    def __init__(self, registry: RegistryClient, champion: Champion[Forecaster], page_tokens: PageTokens, currency: str) -> None:
        """currency: in which revenue is counted, ISO 4217"""
        super().__init__(registry, champion, page_tokens)
        self._currency = currency

    async def ForecastSales(self, request: forecaster_pb2.ForecastSalesRequest, context: Context) -> forecaster_pb2.ForecastSalesResponse:
        version, model = self.serving
        scope, metric, granularity = messages.scope(request), messages.metric(request), messages.granularity(request)
        response = forecaster_pb2.ForecastSalesResponse(
            data_through_date=model.through.isoformat(),
            model_version=version.number,
            metric=request.metric or forecaster_pb2.METRIC_UNITS,
            granularity=request.granularity or forecaster_pb2.GRANULARITY_DAY,
            currency_code=self._currency if request.metric == forecaster_pb2.METRIC_REVENUE else "",
        )
        # The model holds its forecasts ready: to read one takes less than a millisecond, which is not worth a thread.
        with _scope_errors():
            points = model.forecast(scope, metric, messages.horizon_days(request), granularity, messages.levels(request))
            messages.write_points(points, response)
            messages.write_history(model.history(scope, metric, messages.history_days(request), granularity), response)
        return response

    async def ExplainForecast(
        self, request: forecaster_pb2.ExplainForecastRequest, context: Context
    ) -> forecaster_pb2.ExplainForecastResponse:
        version, model = self.serving
        response = forecaster_pb2.ExplainForecastResponse(data_through_date=model.through.isoformat(), model_version=version.number)
        with _scope_errors():
            explanations = await asyncio.to_thread(
                model.explain, messages.scope(request), messages.metric(request), messages.horizon_days(request)
            )
        messages.write_explanations(explanations, response)
        return response

    async def GetBacktest(self, request: forecaster_pb2.GetBacktestRequest, context: Context) -> forecaster_pb2.Backtest:
        version, model = self.serving
        with _scope_errors():
            return messages.backtest_message(model.backtest(messages.scope(request), messages.metric(request)), version.number)


@contextmanager
def _scope_errors() -> Iterator[None]:
    """Translates the model's error for an unknown series into that of a call."""
    try:
        yield
    except ScopeNotFound as error:
        raise NotFound("series", str(error)) from None
