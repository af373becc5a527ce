"""The RPCs of the accuracy of served forecasts."""

from collections.abc import Mapping

import grpc.aio
from google.protobuf.message import Message

from hashiramart.forecaster.v1 import accuracy_pb2, accuracy_pb2_grpc, forecaster_pb2
from mesh.paging import PageTokens, page_size
from services.forecaster.accuracy import Alarm, AlarmKind, AlarmState, Period, ScoreSums, quotient
from services.forecaster.accuracy_monitor import AccuracyMonitor
from services.forecaster.accuracy_repository import AccuracyRepository, ListedOutlier
from services.forecaster.messages import LEVELS, scope_kind

Context = grpc.aio.ServicerContext[Message, Message]

_PERIODS: Mapping[Period, accuracy_pb2.AccuracyPeriod.ValueType] = {
    "week": accuracy_pb2.ACCURACY_PERIOD_WEEK,
    "quarter": accuracy_pb2.ACCURACY_PERIOD_QUARTER,
}
_ALARMS = {
    AlarmKind.ERROR: accuracy_pb2.FORECAST_ALARM_KIND_ERROR,
    AlarmKind.BIAS: accuracy_pb2.FORECAST_ALARM_KIND_BIAS,
    AlarmKind.COVERAGE: accuracy_pb2.FORECAST_ALARM_KIND_COVERAGE,
    AlarmKind.STALENESS: accuracy_pb2.FORECAST_ALARM_KIND_STALENESS,
}
_STATES = {
    AlarmState.OK: accuracy_pb2.FORECAST_ALARM_STATE_OK,
    AlarmState.FIRING: accuracy_pb2.FORECAST_ALARM_STATE_FIRING,
    AlarmState.NO_DATA: accuracy_pb2.FORECAST_ALARM_STATE_NO_DATA,
}


class AccuracyServicer(accuracy_pb2_grpc.ForecastAccuracyServiceServicer):
    """Reports the accuracy of served forecasts. time_zone: of the days in answers, an IANA name"""

    def __init__(self, monitor: AccuracyMonitor, accuracy: AccuracyRepository, page_tokens: PageTokens, time_zone: str) -> None:
        self._monitor = monitor
        self._accuracy = accuracy
        self._page_tokens = page_tokens
        self._time_zone = time_zone

    async def GetForecastAccuracy(
        self, request: accuracy_pb2.GetForecastAccuracyRequest, context: Context
    ) -> accuracy_pb2.ForecastAccuracy:
        report = await self._monitor.report()
        return accuracy_pb2.ForecastAccuracy(
            scored_through_date=report.scored_through.isoformat() if report.scored_through else "",
            sales_through_date=report.sales_through.isoformat() if report.sales_through else "",
            levels=map(_level_message, report.sums),
            alarms=map(_alarm_message, report.alarms),
            time_zone=self._time_zone,
        )

    async def ListForecastOutliers(
        self, request: accuracy_pb2.ListForecastOutliersRequest, context: Context
    ) -> accuracy_pb2.ListForecastOutliersResponse:
        place, size = self._page_tokens.read(request), page_size(request.page_size)
        found = await self._accuracy.outliers(scope_kind(request), place, size + 1)
        page = found[:size]
        return accuracy_pb2.ListForecastOutliersResponse(
            outliers=map(_outlier_message, page),
            next_page_token=self._page_tokens.write(request, page[-1].place) if len(found) > size else "",
            time_zone=self._time_zone,
        )


def _level_message(sums: ScoreSums) -> accuracy_pb2.LevelAccuracy:
    covered = {80: sums.covered_80, 95: sums.covered_95} if sums.open_count else {}
    return accuracy_pb2.LevelAccuracy(
        level=LEVELS[sums.kind],
        period=_PERIODS[sums.period],
        first_horizon_day=sums.first_horizon_day,
        last_horizon_day=sums.last_horizon_day,
        forecast_count=sums.series_count,
        error=quotient(sums.absolute_error, sums.actual),
        backtest_error=quotient(sums.backtest_error, sums.actual) if sums.in_backtest else None,
        bias=quotient(sums.error, sums.actual),
        coverage=(forecaster_pb2.Coverage(level=level, measured=count / sums.open_count) for level, count in covered.items()),
    )


def _alarm_message(alarm: Alarm) -> accuracy_pb2.ForecastAlarm:
    return accuracy_pb2.ForecastAlarm(
        kind=_ALARMS[alarm.watched],
        level=LEVELS[alarm.kind] if alarm.kind else forecaster_pb2.SERIES_LEVEL_UNSPECIFIED,
        state=_STATES[alarm.state],
        value=alarm.value,
        threshold=alarm.threshold,
    )


def _outlier_message(listed: ListedOutlier) -> accuracy_pb2.ForecastOutlier:
    outlier = listed.outlier
    return accuracy_pb2.ForecastOutlier(
        date=outlier.date.isoformat(),
        level=LEVELS[outlier.scope.kind],
        key=outlier.scope.name,
        model_version=listed.model_version,
        origin_date=listed.origin.isoformat(),
        actual=outlier.actual,
        mean=outlier.mean,
        lower=outlier.lower,
        upper=outlier.upper,
        distance=outlier.distance,
    )
