"""Keeps what is forecast, scores it when the days come, and watches the accuracy: in the background, off the path of answers."""

import asyncio
import math
from datetime import date, timedelta
from typing import NamedTuple

import structlog
from prometheus_client import Gauge

from lake.manifest import Manifest
from ml.forecaster.model import Forecaster
from ml.forecaster.scenario import Adjustment
from ml.forecaster.served import DayScore, Outlier, ServedForecast
from ml.registry.champion import Champion
from services.forecaster.accuracy import Alarm, AlarmState, ScoreSums, Thresholds, judge
from services.forecaster.accuracy_repository import AccuracyRepository, PendingForecast
from services.forecaster.daily_units import CleanSales, DailyUnits, SalesUnavailable, complete_through
from services.forecaster.outlook import Outlook

_FIRING = Gauge("forecaster_alarm_firing", "Whether an alarm of the forecaster fires: 1 or 0, NaN without data.", ("alarm", "level"))
_VALUE = Gauge("forecaster_alarm_value", "What an alarm of the forecaster watches, NaN without data.", ("alarm", "level"))
_STATES = {AlarmState.OK: 0.0, AlarmState.FIRING: 1.0, AlarmState.NO_DATA: math.nan}

_log = structlog.get_logger(__name__)


class AccuracyReport(NamedTuple):
    """How good the served forecasts were."""

    scored_through: date | None
    sales_through: date | None
    sums: list[ScoreSums]
    alarms: list[Alarm]


class AccuracyMonitor:
    """Takes what each champion forecasts, and scores it by the clean data.

    A champion's forecast counts as served from the moment it is loaded, for all its series, whether anyone asks for them or not: so there
    is an accuracy of each version and each product, which does not depend on what people happen to look at. Where the calendar changes
    it, its later state counts, for days that are not scored yet. Days that the clean data had when a version was loaded count too:
    the version had not seen them. Scenarios are no forecasts of what will be, and are not kept.
    """

    def __init__(
        self, champion: Champion[Forecaster], outlook: Outlook, sales: CleanSales, accuracy: AccuracyRepository, thresholds: Thresholds
    ) -> None:
        self._champion = champion
        self._outlook = outlook
        self._sales = sales
        self._accuracy = accuracy
        self._thresholds = thresholds
        self._kept: tuple[Forecaster, Adjustment] | None = None
        self._sales_through: date | None = None
        self._failure = ""

    async def keep_forecast(self) -> None:
        """Keeps what the champion forecasts, unless that is kept already. Raises `Unavailable`."""
        if (serving := self._champion.serving) is None:
            return
        version, model = serving
        adjustment = await self._outlook.adjustment(model)
        if self._kept and self._kept[0] is model and self._kept[1] is adjustment:
            return
        content = await asyncio.to_thread(_file, model, adjustment)
        await self._accuracy.keep(version.number, version.provenance.artifact_sha256, model.through, content)
        self._kept = model, adjustment

    async def score(self) -> None:
        """Scores the forecasts of the days that the clean data has now, and updates the metrics. Raises `Unavailable`.

        While the store cannot be reached, what was scored stays.
        """
        try:
            if manifest := await asyncio.to_thread(self._sales.manifest):
                await self._score_days(manifest)
                self._sales_through = complete_through(manifest)
            self._failure = ""
        except SalesUnavailable as error:
            if self._failure != (failure := str(error)):
                _log.warning("forecasts cannot be scored", reason=failure)
            self._failure = failure
        for alarm in (await self.report()).alarms:
            labels = alarm.watched.value, alarm.kind or ""
            _FIRING.labels(*labels).set(_STATES[alarm.state])
            _VALUE.labels(*labels).set(math.nan if alarm.value is None else alarm.value)

    async def report(self) -> AccuracyReport:
        """The accuracy now. Raises `Unavailable`."""
        scored_through = await self._accuracy.scored_through()
        sums = await self._accuracy.sums(scored_through) if scored_through else []
        serving = self._champion.serving
        alarms = judge(sums, serving.model.through if serving else None, self._sales_through, self._thresholds)
        return AccuracyReport(scored_through, self._sales_through, sums, alarms)

    async def _score_days(self, manifest: Manifest) -> None:
        """Scores what is not scored up to the last complete day of the clean data."""
        pending = await self._accuracy.pending(complete_through(manifest))
        if not pending:
            return
        first_date = min(each.scored_through for each in pending) + timedelta(days=1)
        units = await asyncio.to_thread(self._sales.read, manifest, first_date)
        for each in pending:
            if content := await self._accuracy.content(each.id):
                scores, outliers = await asyncio.to_thread(_score, content, each, units)
                await self._accuracy.save(each, scores, outliers)
        _log.info("scored forecasts", forecasts=len(pending), through=complete_through(manifest).isoformat())


def _file(model: Forecaster, adjustment: Adjustment) -> bytes:
    return ServedForecast.of(model, adjustment).to_parquet()


def _score(content: bytes, pending: PendingForecast, units: DailyUnits) -> tuple[list[DayScore], list[Outlier]]:
    forecast = ServedForecast.from_parquet(content)
    first_date = pending.scored_through + timedelta(days=1)
    return forecast.score(first_date, units.of(forecast.scopes, first_date, pending.last_date))
