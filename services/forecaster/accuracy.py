"""The accuracy of the forecasts that have been served, and the alarms that watch it: plain rules on the sums of scores."""

from collections.abc import Mapping, Sequence
from datetime import date
from enum import StrEnum
from typing import Final, Literal, NamedTuple

from ml.forecaster.forecasts import ScopeKind

Period = Literal["week", "quarter"]
PERIOD_DAYS: Final[Mapping[Period, int]] = {"week": 7, "quarter": 91}
# From and up to which day ahead. The backtest has the first two.
HORIZONS: Final = ((1, 7), (8, 28), (29, 91))
_BACKTEST_DAYS: Final = 28
_KINDS: Final[tuple[ScopeKind, ...]] = ("shop", "category", "country", "product")


class ScoreSums(NamedTuple):
    """Sums of the scores of a level, of the horizons from `first_horizon_day` to `last_horizon_day`, in a period."""

    period: Period
    kind: ScopeKind
    first_horizon_day: int
    last_horizon_day: int
    series_count: int
    actual: float
    error: float
    absolute_error: float
    backtest_error: float
    open_count: int
    covered_80: int
    covered_95: int

    @property
    def in_backtest(self) -> bool:
        """Whether the backtest has the horizons."""
        return self.last_horizon_day <= _BACKTEST_DAYS


class AlarmKind(StrEnum):
    """What an alarm watches."""

    ERROR = "error"
    BIAS = "bias"
    COVERAGE = "coverage"
    STALENESS = "staleness"


class AlarmState(StrEnum):
    """The state of an alarm."""

    OK = "ok"
    FIRING = "firing"
    NO_DATA = "no_data"


class Thresholds(NamedTuple):
    """From when on alarms fire."""

    error_ratio: float
    bias: float
    coverage: float
    stale_days: int


class Alarm(NamedTuple):
    """An alarm. kind: of the level; None for the whole model"""

    watched: AlarmKind
    kind: ScopeKind | None
    value: float | None
    threshold: float

    @property
    def state(self) -> AlarmState:
        if self.value is None:
            return AlarmState.NO_DATA
        match self.watched:
            case AlarmKind.COVERAGE:
                firing = self.value < self.threshold
            case AlarmKind.BIAS:
                firing = abs(self.value) > self.threshold
            case _:
                firing = self.value > self.threshold
        return AlarmState.FIRING if firing else AlarmState.OK


def judge(sums: Sequence[ScoreSums], model_through: date | None, sales_through: date | None, thresholds: Thresholds) -> list[Alarm]:
    """All alarms: the bias of the shop, which is that of every level, error and coverage of each level, and the staleness.

    model_through, sales_through: the last day that the champion and the clean data know; None if that is not known
    """
    stale = float(max((sales_through - model_through).days, 0)) if model_through and sales_through else None
    alarms = [Alarm(AlarmKind.STALENESS, None, stale, thresholds.stale_days)]
    for kind in _KINDS:
        recent = [each for each in sums if (each.period, each.kind) == ("week", kind) and each.in_backtest]
        total = {name: sum(getattr(each, name) for each in recent) for name in ScoreSums._fields[4:]}
        alarms.append(Alarm(AlarmKind.ERROR, kind, quotient(total["absolute_error"], total["backtest_error"]), thresholds.error_ratio))
        alarms.append(Alarm(AlarmKind.COVERAGE, kind, quotient(total["covered_95"], total["open_count"]), thresholds.coverage))
        if kind == "shop":
            alarms.append(Alarm(AlarmKind.BIAS, kind, quotient(total["error"], total["actual"]), thresholds.bias))
    return alarms


def quotient(part: float, whole: float) -> float | None:
    """The quotient; None if the whole is not positive."""
    return part / whole if whole > 0 else None
