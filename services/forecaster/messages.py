"""Forecasts as the contract's messages."""

import math
from collections.abc import Iterable, Mapping

from hashiramart.forecaster.v1 import forecaster_pb2
from ml.forecaster.model import Backtest, Explanation, Granularity, Point, Scope, ScopeKind, Sold, Tried
from ml.forecaster.shop import REVENUE_METRIC, UNITS_METRIC, Metric
from services.forecaster.domain import worth_telling

HORIZON_DAYS, HISTORY_DAYS, LEVELS = 28, 56, (80, 95)

# What each request is for is said by fields of the same names.
Request = forecaster_pb2.ForecastSalesRequest | forecaster_pb2.ExplainForecastRequest | forecaster_pb2.GetBacktestRequest


def scope(request: Request) -> Scope:
    """What it is for."""
    field = request.WhichOneof("scope")
    return Scope(_KINDS[field], getattr(request, field)) if field else Scope()


def metric(request: Request) -> Metric:
    """What is counted."""
    return REVENUE_METRIC if request.metric == forecaster_pb2.METRIC_REVENUE else UNITS_METRIC


def granularity(request: forecaster_pb2.ForecastSalesRequest) -> Granularity:
    """How long the periods are."""
    return _GRANULARITIES.get(request.granularity, "day")


def levels(request: forecaster_pb2.ForecastSalesRequest) -> tuple[int, ...]:
    """Which bands are wanted, the narrowest first."""
    return tuple(sorted(request.levels)) or LEVELS


def history_days(request: forecaster_pb2.ForecastSalesRequest) -> int:
    """How much history is wanted."""
    return request.history_days if request.HasField("history_days") else HISTORY_DAYS


def write_points(points: Iterable[Point], response: forecaster_pb2.ForecastSalesResponse) -> None:
    """Writes the forecast into an answer. Half a year has 182 days with bands: to copy them into it costs as much again."""
    for point in points:
        message = response.points.add(date=point.date.isoformat(), day_count=point.day_count, mean=point.mean, median=point.median)
        _write_bands(point.bands, message)


def write_history(history: Iterable[Sold], response: forecaster_pb2.ForecastSalesResponse) -> None:
    """Writes what was sold into an answer."""
    for sold in history:
        response.history.add(date=sold.date.isoformat(), day_count=sold.day_count, value=sold.value)


def write_explanations(explanations: Iterable[Explanation], response: forecaster_pb2.ExplainForecastResponse) -> None:
    """Writes the explanations of days into an answer."""
    for day in explanations:
        message = response.explanations.add(date=day.date.isoformat(), mean=day.mean, baseline=day.baseline)
        for each in worth_telling(day.contributions):
            message.contributions.add(feature=each.feature, text=each.text, amount=each.amount)


def backtest_message(backtest: Backtest, version: str) -> forecaster_pb2.Backtest:
    """How good forecasts were, as callers see it."""
    message = forecaster_pb2.Backtest(
        mase=_known(backtest.mase),
        rmsse=_known(backtest.rmsse),
        bias=_known(backtest.bias),
        coverage=(forecaster_pb2.Coverage(level=level, measured=share) for level, share in sorted(backtest.coverage.items())),
        model_version=version,
    )
    for day in backtest.days:
        _write_tried(day, message.points.add())
    return message


def _known(value: float) -> float | None:
    """None for what is not known, which JSON has no number for."""
    return None if math.isnan(value) else value


_KINDS: Mapping[str, ScopeKind] = {"product_id": "product", "category": "category", "country": "country"}
_GRANULARITIES: Mapping[int, Granularity] = {forecaster_pb2.GRANULARITY_WEEK: "week", forecaster_pb2.GRANULARITY_MONTH: "month"}


def _write_tried(day: Tried, message: forecaster_pb2.BacktestPoint) -> None:
    message.date = day.point.date.isoformat()
    message.origin_date = day.origin.isoformat()
    message.actual = day.actual
    message.mean = day.point.mean
    message.median = day.point.median
    _write_bands(day.point.bands, message)


def _write_bands(bands: Mapping[int, tuple[float, float]], message: forecaster_pb2.ForecastPoint | forecaster_pb2.BacktestPoint) -> None:
    for level, (lower, upper) in bands.items():
        message.bands.add(level=level, lower=lower, upper=upper)
