"""Converts requests to the model's arguments, and its results to messages.

The `write_...` functions fill a response in place: to build the bands of half a year first and to copy them takes twice the time.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from hashiramart.forecaster.v1 import accuracy_pb2, forecaster_pb2
from ml.forecaster.forecasts import (
    REVENUE_METRIC,
    UNITS_METRIC,
    Backtest,
    BacktestDay,
    Contribution,
    Explanation,
    Granularity,
    HistoryPoint,
    Metric,
    Point,
    Scope,
    ScopeKind,
)
from services.forecaster.domain import DEFAULT_HISTORY_DAYS, DEFAULT_HORIZON_DAYS, DEFAULT_LEVELS, named_count

# The requests that select a series, by fields of the same names.
SeriesRequest = forecaster_pb2.ForecastSalesRequest | forecaster_pb2.ExplainForecastRequest | forecaster_pb2.GetBacktestRequest
# The requests that are for many series.
ManyRequest = forecaster_pb2.BatchForecastSalesRequest | forecaster_pb2.ExportForecastsRequest
# The requests that select a level.
LevelRequest = forecaster_pb2.ListForecastSeriesRequest | ManyRequest | accuracy_pb2.ListForecastOutliersRequest

LEVELS: Mapping[ScopeKind, forecaster_pb2.SeriesLevel.ValueType] = {
    "shop": forecaster_pb2.SERIES_LEVEL_SHOP,
    "category": forecaster_pb2.SERIES_LEVEL_CATEGORY,
    "country": forecaster_pb2.SERIES_LEVEL_COUNTRY,
    "product": forecaster_pb2.SERIES_LEVEL_PRODUCT,
}
_SCOPE_KINDS: Mapping[str, ScopeKind] = {"product_id": "product", "category": "category", "country": "country"}
_GRANULARITIES: Mapping[int, Granularity] = {forecaster_pb2.GRANULARITY_WEEK: "week", forecaster_pb2.GRANULARITY_MONTH: "month"}
# What the contributions that are too small to be named are summed up in.
_OTHER_FEATURE, _OTHER_TEXT = "other", "All smaller contributions taken together"


def scope(request: SeriesRequest) -> Scope:
    """The series that a request is for: the whole shop if it names none."""
    field = request.WhichOneof("scope")
    return Scope(_SCOPE_KINDS[field], getattr(request, field)) if field else Scope()


def scope_kind(request: LevelRequest) -> ScopeKind | None:
    """The kind of the series; None if it is not stated."""
    return next((kind for kind, level in LEVELS.items() if level == request.level), None)


def metric(request: SeriesRequest | ManyRequest) -> Metric:
    """Revenue or units; units by default."""
    return REVENUE_METRIC if request.metric == forecaster_pb2.METRIC_REVENUE else UNITS_METRIC


def granularity(request: forecaster_pb2.ForecastSalesRequest | ManyRequest) -> Granularity:
    """The length of a period; a day by default."""
    return _GRANULARITIES.get(request.granularity, "day")


def horizon_days(
    request: forecaster_pb2.ForecastSalesRequest | ManyRequest | forecaster_pb2.ExplainForecastRequest,
) -> int:
    """How many days to forecast."""
    return request.horizon_days or DEFAULT_HORIZON_DAYS


def history_days(request: forecaster_pb2.ForecastSalesRequest) -> int:
    """How many days of history to return beside the forecast."""
    return request.history_days if request.HasField("history_days") else DEFAULT_HISTORY_DAYS


def levels(request: forecaster_pb2.ForecastSalesRequest | ManyRequest) -> tuple[int, ...]:
    """The levels of the bands in percent, narrowest first."""
    return tuple(sorted(request.levels)) or DEFAULT_LEVELS


def series_message(scope: Scope, product_names: Mapping[str, str], days: tuple[date, date] | None) -> forecaster_pb2.ForecastSeries:
    """A series.

    product_names: by the ids of products
    days: the first and the last one with sales
    """
    name = product_names.get(scope.name, "") if scope.kind == "product" else scope.name
    first, last = (day.isoformat() for day in days) if days else ("", "")
    return forecaster_pb2.ForecastSeries(level=LEVELS[scope.kind], key=scope.name, name=name, first_date=first, last_date=last)


def batch_message(scope: Scope, version: str, time_zone: str) -> forecaster_pb2.BatchForecastSalesResponse:
    """The forecast of one of many series, without its points. time_zone: of the days, an IANA name"""
    return forecaster_pb2.BatchForecastSalesResponse(level=LEVELS[scope.kind], key=scope.name, model_version=version, time_zone=time_zone)


def write_points(
    points: Iterable[Point],
    response: forecaster_pb2.ForecastSalesResponse | forecaster_pb2.BatchForecastSalesResponse | forecaster_pb2.ScenarioForecast,
) -> None:
    """Adds the forecast, period by period."""
    for point in points:
        message = response.points.add(date=point.date.isoformat(), day_count=point.day_count, mean=point.mean, median=point.median)
        _write_bands(point.bands, message)


def write_history(history: Iterable[HistoryPoint], response: forecaster_pb2.ForecastSalesResponse) -> None:
    """Adds the actual sales before the forecast, period by period."""
    for period in history:
        response.history.add(date=period.date.isoformat(), day_count=period.day_count, value=period.value)


def write_explanations(explanations: Iterable[Explanation], response: forecaster_pb2.ExplainForecastResponse) -> None:
    """Adds the explanations, day by day."""
    for day in explanations:
        message = response.explanations.add(date=day.date.isoformat(), mean=day.mean, baseline=day.baseline)
        _write_contributions(day.contributions, message)


def backtest_message(backtest: Backtest, version: str, time_zone: str) -> forecaster_pb2.Backtest:
    """The backtest of a model version. time_zone: of the days, an IANA name"""
    message = forecaster_pb2.Backtest(
        mase=_none_if_nan(backtest.mase),
        rmsse=_none_if_nan(backtest.rmsse),
        bias=_none_if_nan(backtest.bias),
        coverage=(forecaster_pb2.Coverage(level=level, measured=share) for level, share in sorted(backtest.coverage.items())),
        model_version=version,
        time_zone=time_zone,
    )
    for day in backtest.days:
        _write_backtest_point(day, message.points.add())
    return message


def _none_if_nan(value: float) -> float | None:
    """JSON has no NaN: a field that is not known stays unset."""
    return None if math.isnan(value) else value


def _write_contributions(contributions: Sequence[Contribution], message: forecaster_pb2.DayExplanation) -> None:
    amounts = [contribution.amount for contribution in contributions]
    count = named_count(amounts)
    for contribution in contributions[:count]:
        message.contributions.add(feature=contribution.feature, text=contribution.text, amount=contribution.amount)
    if count < len(amounts):
        message.contributions.add(feature=_OTHER_FEATURE, text=_OTHER_TEXT, amount=sum(amounts[count:]))


def _write_backtest_point(day: BacktestDay, message: forecaster_pb2.BacktestPoint) -> None:
    message.date = day.point.date.isoformat()
    message.origin_date = day.origin.isoformat()
    message.actual = day.actual
    message.mean = day.point.mean
    message.median = day.point.median
    _write_bands(day.point.bands, message)


def _write_bands(bands: Mapping[int, tuple[float, float]], message: forecaster_pb2.ForecastPoint | forecaster_pb2.BacktestPoint) -> None:
    for level, (lower, upper) in bands.items():
        message.bands.add(level=level, lower=lower, upper=upper)
