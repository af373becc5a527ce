"""Features of a row: of a series, at an origin (the number of steps known), for a step ahead, from 1.

Values are read up to the origin only; closures and covariates, which are known in advance, also around the target. Amounts are relative to
the level at the origin, so that one model serves series of any size. The names of features are part of saved models.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ml.forecaster.arrays import Booleans, Floats, Integers, positive_or_nan, row_means, row_quantiles
from ml.forecaster.context import Context, build_context, first_known
from ml.forecaster.holidays import days_from_christmas, days_from_easter
from ml.forecaster.panel import Frequency, Panel
from ml.forecaster.periods import weekdays
from ml.forecaster.windows import WindowMeans

# Rows are computed in chunks, to bound the memory of intermediate arrays.
CHUNK = 1 << 16
# The frequencies whose steps differ in days.
MONTHS = (Frequency.MONTH, Frequency.QUARTER)
# A covariate with at most so many values, such as a promotion, defines states, whose past values are averaged separately.
MAX_STATES = 5
# The weight of the shorter mean in the level at an origin.
RECENT_WEIGHT = 0.6
# The level is at least this share of the mean of the whole history, however long ago the series last sold.
MIN_LEVEL_SHARE = 0.02
# The usual change of a series of which no two seasons are known, and the least of any, as shares of its level.
USUAL_CHANGE_SHARE, MIN_CHANGE_SHARE = 0.2, 0.01


@dataclass(frozen=True)
class Lookback:
    """The lengths of windows, in steps."""

    windows: tuple[int, ...]
    """Before the origin, for means."""
    level: tuple[int, int]
    """The two windows whose means make the level at an origin."""
    phases: tuple[int, ...]
    """Numbers of past seasons, for means over the target's phase."""
    cycle: int
    """The length of the longer cycle: a year, or a week of hours."""
    around: tuple[int, ...]
    """On either side of the target's position one cycle earlier."""
    covariates: int
    """On either side of the target, for closures and covariates."""


LOOKBACKS = {
    Frequency.DAY: Lookback((7, 14, 28, 56, 112, 182, 364), (28, 112), (4, 8, 13, 26), 364, (1, 3, 10), 3),
    Frequency.WEEK: Lookback((1, 2, 4, 8, 13, 26, 52), (4, 13), (1, 2, 3), 52, (0, 1, 3), 2),
    Frequency.MONTH: Lookback((1, 2, 3, 6, 12, 24), (3, 12), (1, 2, 3, 4), 12, (0, 1, 2), 1),
    Frequency.QUARTER: Lookback((1, 2, 4, 8), (2, 4), (1, 2, 3, 4), 4, (0, 1, 2), 1),
    Frequency.HOUR: Lookback((1, 6, 24, 48, 168, 336, 672), (24, 168), (2, 4, 7, 14, 28), 168, (0, 1, 3), 1),
}

Columns = dict[str, np.ndarray]


class Features:
    """The features of a panel's rows. context: computed from the panel unless given"""

    def __init__(self, panel: Panel, context: Context | None = None) -> None:
        self.panel = panel
        self.context = build_context(panel) if context is None else context
        self._lookback = LOOKBACKS[panel.frequency]

    @property
    def closed(self) -> Booleans:
        """Whether each series is closed, shape (n, T + H)."""
        return self.context.closed

    @cached_property
    def known(self) -> Booleans:
        """The values that count: known, and not of a closed step; shape (n, T)."""
        return ~np.isnan(self.panel.values) & ~self.closed[:, : self.panel.length]

    @cached_property
    def first(self) -> Integers:
        """The first known step of each series, T where there is none, shape (n,)."""
        return first_known(self.known)

    def level(self, series: Integers, origin: Integers) -> Floats:
        """The level of each row's series at its origin, shape (rows,); always positive."""
        short, long = self._lookback.level
        recent = self._means.mean(series, origin - short, origin)
        longer = self._means.mean(series, origin - long, origin)
        overall = self._means.mean(series, np.zeros_like(origin), origin)
        longer = np.where(np.isnan(longer), overall, longer)
        blend = RECENT_WEIGHT * np.where(np.isnan(recent), longer, recent) + (1 - RECENT_WEIGHT) * longer
        return np.where(overall > 0, np.fmax(blend, MIN_LEVEL_SHARE * overall), self.context.starts[series])

    def usual_change(self, series: Integers, origin: Integers) -> Floats:
        """The mean absolute change from one season to the next before the origin, shape (rows,); always positive."""
        level = self.level(series, origin)
        change = self._changes.mean(series, np.zeros_like(origin), origin)
        return np.maximum(np.where(change > 0, change, USUAL_CHANGE_SHARE * level), MIN_CHANGE_SHARE * level)

    @property
    def cycle(self) -> int:
        """The length of the longer cycle, in steps: a year, or a week of hours."""
        return self._lookback.cycle

    def last_cycle(self, series: Integers, origin: Integers, step: Integers) -> tuple[Floats, Floats]:
        """The values one cycle before the targets, and the change of the level since then, shape (rows,) each; NaN if unknown."""
        short = self._lookback.level[0]
        position = self._cycle_position(origin, step)
        then = positive_or_nan(self._means.mean(series, origin - self.cycle - short, origin - self.cycle))
        return self._values_at(series, position[:, None])[:, 0], self._means.mean(series, origin - short, origin) / then

    def smoothed_level(self, series: Integers, origin: Integers, step: Integers) -> Floats:
        """The forecasts of exponential smoothing, shape (rows,); the level for a series that has not started."""
        started = self.first[series] < origin
        return np.where(started, self.context.smoothing.forecast(series, origin, step), self.level(series, origin))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the features, in order."""
        zero, one = np.zeros(1, dtype=np.int64), np.ones(1, dtype=np.int64)
        return tuple(self._columns(zero, one, one))

    def rows(self, series: Integers, origin: Integers, step: Integers) -> NDArray[np.float32]:
        """The features of these rows, shape (rows, features)."""
        matrix = np.empty((len(series), len(self.names)), dtype=np.float32)
        for start in range(0, len(series), CHUNK):
            part = slice(start, start + CHUNK)
            for index, column in enumerate(self._columns(series[part], origin[part], step[part]).values()):
                matrix[part, index] = column
        return matrix

    @cached_property
    def _values(self) -> Floats:
        return np.where(self.known, np.maximum(self.panel.values, 0.0), 0.0)

    @cached_property
    def _means(self) -> WindowMeans:
        return WindowMeans(self._values, self.known)

    @cached_property
    def _changes(self) -> WindowMeans:
        season = self.panel.season
        changes = np.abs(self._values - np.roll(self._values, season, axis=1))
        known = self.known & np.roll(self.known, season, axis=1)
        known[:, :season] = False
        return WindowMeans(changes, known)

    @cached_property
    def _selling_shares(self) -> WindowMeans:
        return WindowMeans((self._values > 0).astype(float), self.known)

    @cached_property
    def _square_means(self) -> WindowMeans:
        return WindowMeans(self._values**2, self.known)

    @cached_property
    def _since_sale(self) -> Integers:
        """The steps since the last sale at each origin, shape (n, T + 1)."""
        sale = np.where(self._values > 0, np.arange(self.panel.length), -1)
        latest = np.maximum.accumulate(np.pad(sale, ((0, 0), (1, 0)), constant_values=-1), axis=1)
        return np.arange(self.panel.length + 1) - latest

    @cached_property
    def _groups(self) -> dict[str, tuple[Integers, WindowMeans]]:
        """By name of a grouping, the group of each series and the means of the groups' totals."""
        return {name: (group.codes, WindowMeans(group.totals, ~np.isnan(group.totals))) for name, group in self.context.groups.items()}

    @cached_property
    def _calendar(self) -> dict[str, Integers]:
        """Calendar features of each step, each of shape (T + H,)."""
        times = self.panel.times
        phase = {"phase": np.arange(len(times)) % self.panel.season} if self.panel.season > 1 else {}
        if not np.issubdtype(times.dtype, np.datetime64):
            return phase
        days = times.astype("datetime64[D]")
        if self.panel.frequency is Frequency.HOUR:
            return {"hour": times.astype("datetime64[h]").astype(np.int64) % 24, "weekday": weekdays(days)}
        if self.panel.frequency in MONTHS:
            months = days.astype("datetime64[M]")
            length = (months + 1).astype("datetime64[D]") - months.astype("datetime64[D]")
            return {**phase, "month": months.astype(np.int64) % 12, "days": length.astype(np.int64)}
        dates = {
            "day_of_month": (days - days.astype("datetime64[M]")).astype(np.int64),
            "day_of_year": (days - days.astype("datetime64[Y]")).astype(np.int64),
            "christmas": days_from_christmas(days),
            "easter": days_from_easter(days),
        }
        return dates if self.panel.frequency is Frequency.WEEK else {"weekday": weekdays(days), **dates}

    @cached_property
    def _states(self) -> Integers | None:
        """The state of each series at each step, by its covariates of few values, shape (n, T + H); None without such covariates."""
        states = None
        for values in self.panel.covariates.values():
            distinct = np.unique(values[~np.isnan(values)])
            if 1 < len(distinct) <= MAX_STATES:
                code = np.where(np.isnan(values), 0, 1 + np.searchsorted(distinct, values)).astype(np.int64)
                states = code if states is None else states * (MAX_STATES + 1) + code
        return states

    def _columns(self, series: Integers, origin: Integers, step: Integers) -> Columns:
        level = self.level(series, origin)
        return {
            "step": step,
            "level": np.log(level),
            **self._past_columns(series, origin, level),
            **self._season_columns(series, origin, step, level),
            **self._cycle_columns(series, origin, step, level),
            **self._group_columns(series, origin, step),
            **{name: values[origin + step - 1] for name, values in self._calendar.items()},
            **self._covariate_columns(series, origin + step - 1),
            **self._change_columns(series, origin, step),
            **{name: code[series] for name, code in self.panel.static.items()},
        }

    def _past_columns(self, series: Integers, origin: Integers, level: Floats) -> Columns:
        """What sold lately: how much, how often, how steadily."""
        columns: Columns = {
            f"mean_{window}": self._means.mean(series, origin - window, origin) / level for window in self._lookback.windows
        }
        for window in self._lookback.level:
            columns[f"selling_{window}"] = self._selling_shares.mean(series, origin - window, origin)
        short, long = self._lookback.level
        square = self._square_means.mean(series, origin - long, origin) / level**2
        columns["variation"] = np.sqrt(np.maximum(square - (self._means.mean(series, origin - long, origin) / level) ** 2, 0.0))
        columns["since_sale"] = self._since_sale[series, origin]
        columns["age"] = origin - self.first[series]
        recent = self._values_at(series, origin[:, None] - 1 - np.arange(short))
        columns["recent_median"] = row_quantiles(recent, 0.5) / level
        columns["recent_upper"] = row_quantiles(recent, 0.8) / level
        return columns

    def _season_columns(self, series: Integers, origin: Integers, step: Integers, level: Floats) -> Columns:
        """Exponential smoothing, and the last steps of the target's phase."""
        season = self.panel.season
        columns = {
            "smoothed": self.smoothed_level(series, origin, step) / level,
            "trend": self.context.smoothing.trend[series, origin] / level,
        }
        if season == 1:
            return columns
        last = origin + step - 1 - -(-step // season) * season
        steps = last[:, None] - season * np.arange(self._lookback.phases[-1])
        same_phase = self._values_at(series, steps)
        columns["phase_last"], columns["phase_before"] = same_phase[:, 0] / level, same_phase[:, 1] / level
        for count in self._lookback.phases:
            columns[f"phase_mean_{count}"] = row_means(same_phase[:, :count]) / level
        columns["phase_median"] = row_quantiles(same_phase[:, : self._lookback.phases[1]], 0.5) / level
        if self._states is not None:
            target = self._states[series, origin + step - 1]
            recent = origin[:, None] - 1 - np.arange(self._lookback.level[1])
            columns["phase_state"] = self._mean_in_state(series, steps, self._states, target) / level
            columns["state"] = self._mean_in_state(series, recent, self._states, target) / level
        return columns

    def _mean_in_state(self, series: Integers, steps: Integers, states: Integers, target: Integers) -> Floats:
        """The mean over those of these steps whose state is the target's, shape (rows,). steps: shape (rows, any)"""
        alike = states[series[:, None], np.maximum(steps, 0)] == target[:, None]
        return row_means(np.where(alike, self._values_at(series, steps), np.nan))

    def _cycle_columns(self, series: Integers, origin: Integers, step: Integers, level: Floats) -> Columns:
        """The same position one cycle earlier, relative to the level of that time."""
        cycle, short = self._lookback.cycle, self._lookback.level[0]
        position = self._cycle_position(origin, step)
        then = positive_or_nan(self._means.mean(series, origin - cycle - short, origin - cycle))
        columns = {"cycle_value": self._values_at(series, position[:, None])[:, 0] / level, "cycle_growth": level / then}
        for around in self._lookback.around:
            near = self._means.mean(series, np.maximum(position - around, 0), np.minimum(position + around + 1, origin))
            columns[f"cycle_{around}"] = np.where(position < 0, np.nan, near / then)
        columns["cycle_rule"] = columns[f"cycle_{self._lookback.around[1]}"] * columns["cycle_growth"]
        return columns

    def _group_columns(self, series: Integers, origin: Integers, step: Integers) -> Columns:
        """The recent and the yearly development of each group that a series is in."""
        short, long = self._lookback.level
        cycle = self._lookback.cycle
        season = max(self.panel.season, self._lookback.windows[0])
        position = self._cycle_position(origin, step)
        columns = {}
        for name, (code, means) in self._groups.items():
            group = code[series]
            now = positive_or_nan(means.mean(group, origin - short, origin))
            then = positive_or_nan(means.mean(group, origin - cycle - short, origin - cycle))
            longer = positive_or_nan(means.mean(group, origin - long, origin))
            columns[f"{name}_recent"] = means.mean(group, origin - season, origin) / now
            columns[f"{name}_rise"] = now / longer
            columns[f"{name}_growth"] = now / then
            for around in self._lookback.around[1:]:
                near = means.mean(group, np.maximum(position - around, 0), np.minimum(position + around + 1, origin))
                columns[f"{name}_cycle_{around}"] = np.where(position < 0, np.nan, near / then)
        return columns

    def _cycle_position(self, origin: Integers, step: Integers) -> Integers:
        """The target's position one cycle earlier; for steps further ahead than a cycle, the last such position before the origin."""
        position: Integers = origin + step - 1 - -(-step // self._lookback.cycle) * self._lookback.cycle
        return position

    def _covariate_columns(self, series: Integers, target: Integers) -> Columns:
        """Closures and covariates around the target."""
        reach = self._lookback.covariates
        last = len(self.panel.times) - 1
        columns: Columns = {}
        for shift in range(-reach, reach + 1):
            position = np.clip(target + shift, 0, last)
            outside = position != target + shift
            if self.closed.any() and shift:
                columns[f"rests_{shift:+d}"] = np.where(outside, np.nan, self.closed[series, position])
            for name, values in self.panel.covariates.items():
                if abs(shift) < max(reach, 2):
                    columns[f"{name}_{shift:+d}" if shift else name] = np.where(outside, np.nan, values[series, position])
        return columns

    def _change_columns(self, series: Integers, origin: Integers, step: Integers) -> Columns:
        """Covariates at the target, relative to their means over the steps that make the level: a level of promotions is no usual one."""
        columns: Columns = {}
        for name, means in self._covariate_means.items():
            target = self._scaled_covariates[name][series, origin + step - 1]
            for window in self._lookback.level:
                columns[f"{name}_change_{window}"] = target - means.mean(series, origin - window, origin)
        return columns

    @cached_property
    def _covariate_means(self) -> dict[str, WindowMeans]:
        """The means of each scaled covariate over the steps whose values count."""
        means = {}
        for name, values in self._scaled_covariates.items():
            past = values[:, : self.panel.length]
            means[name] = WindowMeans(past, self.known & ~np.isnan(past))
        return means

    @cached_property
    def _scaled_covariates(self) -> dict[str, Floats]:
        """Each covariate, shape (n, T + H); the logarithm of one that is always positive, such as a price."""
        scaled = {}
        for name, values in self.panel.covariates.items():
            positive = bool((values[~np.isnan(values)] > 0).all())
            scaled[name] = np.log(values) if positive else values
        return scaled

    def _values_at(self, series: Integers, steps: Integers) -> Floats:
        """The values at these steps, shape of `steps` (rows, any); NaN where unknown or before the start of the panel."""
        clipped = np.maximum(steps, 0)
        rows = series[:, None]
        return np.where((steps >= 0) & self.known[rows, clipped], self._values[rows, clipped], np.nan)
