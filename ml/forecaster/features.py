"""Features: what was known of a series at an origin, and of the step to be forecast.

A row is a series, an origin (how many steps have been seen) and a step ahead, from 1. Of the values only those before the origin are read;
of what is published in advance, the days around the target too. Amounts are relative to the level at the origin, so that one model
serves series of any size.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ml.forecaster.panel import Flags, Frequency, Numbers, Panel
from ml.forecaster.seasons import days_from_christmas, days_from_easter
from ml.forecaster.smoothing import Smoothed, smooth

Places = NDArray[np.int64]
# Rows are made by so many at a time, to bound the memory that their neighbourhoods take.
CHUNK = 1 << 16
# A published column with at most so many values is a state, such as a promotion: how a series sold in it is told apart.
STATES = 5


# The share of the shorter mean in the level at an origin.
RECENT = 0.6
# However long ago it last sold, a series' level is no smaller part of its mean than this.
LEAST_LEVEL = 0.02
# How many steps from its first tell how a series begins.
BEGINNING = 28


@dataclass(frozen=True)
class Scope:
    """How far features look, in steps."""

    windows: tuple[int, ...]
    # The level at an origin blends the means over the two.
    level: tuple[int, int]
    # Over how many of the last steps of the target's phase means are taken.
    phases: tuple[int, ...]
    # How far back the same time of the longer cycle lies, and how many steps around it count as its neighbourhood.
    cycle: int
    around: tuple[int, ...]
    # How far before and after the target published facts are read.
    published: int


SCOPES = {
    Frequency.DAY: Scope((7, 14, 28, 56, 112, 182, 364), (28, 112), (4, 8, 13, 26), 364, (1, 3, 10), 3),
    Frequency.WEEK: Scope((1, 2, 4, 8, 13, 26, 52), (4, 13), (1, 2, 3), 52, (0, 1, 3), 2),
    Frequency.HOUR: Scope((1, 6, 24, 48, 168, 336, 672), (24, 168), (2, 4, 7, 14, 28), 168, (0, 1, 3), 1),
}


class Sums:
    """Running sums over the known steps of series, from which the mean over any window comes at once.

    values: shape (n, T). known: which of them count, shape (n, T).
    """

    def __init__(self, values: Numbers, known: Flags) -> None:
        self._sum = running(np.where(known, values, 0.0))
        self._count = running(known)

    def mean(self, series: Places, start: Places, end: Places) -> Numbers:
        """The mean over steps start to end (exclusive) of these series, cut to those seen; NaN where none is known."""
        last = self._sum.shape[1] - 1
        start, end = np.clip(start, 0, last), np.clip(end, 0, last)
        with np.errstate(invalid="ignore"):
            return (self._sum[series, end] - self._sum[series, start]) / (self._count[series, end] - self._count[series, start])


@dataclass(frozen=True)
class Group:
    """Groups of series, such as categories: `codes` says which one a series is in, shape (n,); `totals` what each sold, shape (groups, T).

    A total is NaN where nothing is known of the group, or all of it rests.
    """

    codes: Places
    totals: Numbers


@dataclass(frozen=True)
class Context:
    """What features of one series need of the others, or is dear to make.

    rests: whether a series rests, shape (n, T + H)
    groups: the groups that series are in, by name
    starts: what a series that has not begun is taken to begin with, shape (n,)
    smoothed: the series, smoothed
    """

    rests: Flags
    groups: Mapping[str, Group]
    starts: Numbers
    smoothed: Smoothed


def context(panel: Panel, groups: Mapping[str, Group] | None = None) -> Context:
    """The context of a whole panel. Its groups are, if not told, the total and those that the static attributes make."""
    rests = panel.rests()
    resting = rests[:, : panel.seen]
    known = ~np.isnan(panel.values) & ~resting
    if groups is None:
        codes = {"total": np.zeros(len(panel.names), dtype=np.int64), **panel.static}
        groups = {name: Group(code, group_totals(panel.values, known, code)) for name, code in codes.items()}
    return Context(rests, groups, starts(panel, known), smooth(panel.values, resting, panel.season))


class Features:
    """The features of a panel's rows, in a context of its own if none is told."""

    def __init__(self, panel: Panel, around: Context | None = None) -> None:
        self.panel = panel
        self.context = context(panel) if around is None else around
        self.scope = SCOPES[panel.frequency]

    @property
    def rests(self) -> Flags:
        """Whether a series rests, shape (n, T + H)."""
        return self.context.rests

    @cached_property
    def known(self) -> Flags:
        """Which values count: known, and not of a day of rest; shape (n, T)."""
        return ~np.isnan(self.panel.values) & ~self.rests[:, : self.panel.seen]

    @cached_property
    def first(self) -> Places:
        """Each series' first known step, T where there is none, shape (n,)."""
        return first_known(self.known)

    def level(self, series: Places, origin: Places) -> Numbers:
        """The level of these series at these origins, shape (rows,): never zero, so that all can be measured by it."""
        short, long = self.scope.level
        recent = self._sums.mean(series, origin - short, origin)
        longer = self._sums.mean(series, origin - long, origin)
        longer = np.where(np.isnan(longer), self._sums.mean(series, np.zeros_like(origin), origin), longer)
        blend = RECENT * np.where(np.isnan(recent), longer, recent) + (1 - RECENT) * longer
        ever = self._sums.mean(series, np.zeros_like(origin), origin)
        return np.where(ever > 0, np.fmax(blend, LEAST_LEVEL * ever), self.context.starts[series])

    def smoothed(self, series: Places, origin: Places, step: Places) -> Numbers:
        """The smoothed forecasts of these rows, shape (rows,); of a series that has not begun its level."""
        begun = self.first[series] < origin
        return np.where(begun, self.context.smoothed.forecast(series, origin, step), self.level(series, origin))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What the features are called, in their order."""
        return tuple(self._columns(*(np.zeros(1, dtype=np.int64), np.ones(1, dtype=np.int64), np.ones(1, dtype=np.int64))))

    def rows(self, series: Places, origin: Places, step: Places) -> NDArray[np.float32]:
        """The features of these rows, shape (rows, features)."""
        matrix = np.empty((len(series), len(self.names)), dtype=np.float32)
        for start in range(0, len(series), CHUNK):
            part = slice(start, start + CHUNK)
            for place, column in enumerate(self._columns(series[part], origin[part], step[part]).values()):
                matrix[part, place] = column
        return matrix

    @cached_property
    def _values(self) -> Numbers:
        return np.where(self.known, np.maximum(self.panel.values, 0.0), 0.0)

    @cached_property
    def _sums(self) -> Sums:
        return Sums(self._values, self.known)

    @cached_property
    def _selling(self) -> Sums:
        return Sums((self._values > 0).astype(float), self.known)

    @cached_property
    def _squares(self) -> Sums:
        return Sums(self._values**2, self.known)

    @cached_property
    def _last_sale(self) -> Places:
        """The steps since the last sale at each origin, shape (n, T + 1)."""
        place = np.where(self._values > 0, np.arange(self.panel.seen), -1)
        latest = np.maximum.accumulate(np.pad(place, ((0, 0), (1, 0)), constant_values=-1), axis=1)
        return np.arange(self.panel.seen + 1) - latest

    @cached_property
    def _groups(self) -> dict[str, tuple[Places, Sums]]:
        """Which of the groups a series is in, and the running sums of their totals."""
        return {name: (group.codes, Sums(group.totals, ~np.isnan(group.totals))) for name, group in self.context.groups.items()}

    @cached_property
    def _calendar(self) -> dict[str, NDArray[np.int64]]:
        """What the calendar says of each step, by name, each of shape (T + H,)."""
        times = self.panel.times
        phase = {"phase": np.arange(len(times)) % self.panel.season} if self.panel.season > 1 else {}
        if not np.issubdtype(times.dtype, np.datetime64):
            return phase
        days = times.astype("datetime64[D]")
        weekday = (days.astype(np.int64) + 3) % 7
        if self.panel.frequency is Frequency.HOUR:
            return {"hour": times.astype("datetime64[h]").astype(np.int64) % 24, "weekday": weekday}
        months = days.astype("datetime64[M]")
        year = {
            "day_of_year": (days - days.astype("datetime64[Y]")).astype(np.int64),
            "christmas": days_from_christmas(days),
            "easter": days_from_easter(days),
        }
        if self.panel.frequency is Frequency.WEEK:
            return {"day_of_month": (days - months).astype(np.int64), **year}
        return {"weekday": weekday, "day_of_month": (days - months).astype(np.int64), **year}

    @cached_property
    def _state(self) -> NDArray[np.int64] | None:
        """The state that the published columns of few values put a step in, shape (n, T + H); none without such columns."""
        state = None
        for values in self.panel.known.values():
            kinds = np.unique(values[~np.isnan(values)])
            if 1 < len(kinds) <= STATES:
                code = np.where(np.isnan(values), 0, 1 + np.searchsorted(kinds, values)).astype(np.int64)
                state = code if state is None else state * (STATES + 1) + code
        return state

    def _columns(self, series: Places, origin: Places, step: Places) -> dict[str, np.ndarray]:
        level = self.level(series, origin)
        return {
            "step": step,
            "level": np.log(level),
            **self._past(series, origin, level),
            **self._phases(series, origin, step, level),
            **self._cycle(series, origin, step, level),
            **self._groups_columns(series, origin, step),
            **{name: values[origin + step - 1] for name, values in self._calendar.items()},
            **self._published(series, origin + step - 1),
            **{name: code[series] for name, code in self.panel.static.items()},
        }

    def _past(self, series: Places, origin: Places, level: Numbers) -> dict[str, np.ndarray]:
        columns: dict[str, np.ndarray] = {
            f"mean_{window}": self._sums.mean(series, origin - window, origin) / level for window in self.scope.windows
        }
        for window in self.scope.level:
            columns[f"selling_{window}"] = self._selling.mean(series, origin - window, origin)
        long = self.scope.level[1]
        square = self._squares.mean(series, origin - long, origin) / level**2
        columns["variation"] = np.sqrt(np.maximum(square - (self._sums.mean(series, origin - long, origin) / level) ** 2, 0.0))
        columns["since_sale"] = self._last_sale[series, origin]
        columns["age"] = origin - self.first[series]
        recent = self._recent(series, origin[:, None] - 1 - np.arange(self.scope.level[0]))
        columns["recent_median"] = sorted_share(recent, 0.5) / level
        columns["recent_upper"] = sorted_share(recent, 0.8) / level
        return columns

    def _phases(self, series: Places, origin: Places, step: Places, level: Numbers) -> dict[str, np.ndarray]:
        season = self.panel.season
        columns = {"smoothed": self.smoothed(series, origin, step) / level, "trend": self.context.smoothed.trend[series, origin] / level}
        if season == 1:
            return columns
        last = origin + step - 1 - -(-step // season) * season
        places = last[:, None] - season * np.arange(self.scope.phases[-1])
        same = self._recent(series, places)
        columns["phase_last"], columns["phase_before"] = same[:, 0] / level, same[:, 1] / level
        for count in self.scope.phases:
            columns[f"phase_mean_{count}"] = known_mean(same[:, :count]) / level
        columns["phase_median"] = sorted_share(same[:, : self.scope.phases[1]], 0.5) / level
        if self._state is not None:
            alike = self._state[series[:, None], np.maximum(places, 0)] == self._state[series, origin + step - 1][:, None]
            columns["phase_state"] = known_mean(np.where(alike, same, np.nan)) / level
            window = origin[:, None] - 1 - np.arange(self.scope.level[1])
            alike = self._state[series[:, None], np.maximum(window, 0)] == self._state[series, origin + step - 1][:, None]
            columns["state"] = known_mean(np.where(alike, self._recent(series, window), np.nan)) / level
        return columns

    def _cycle(self, series: Places, origin: Places, step: Places, level: Numbers) -> dict[str, np.ndarray]:
        back = self.scope.cycle
        short = self.scope.level[0]
        # Steps further ahead than a cycle look two back.
        place = origin + step - 1 - -(-step // back) * back
        then = positive(self._sums.mean(series, origin - back - short, origin - back))
        columns = {"cycle_value": self._recent(series, place[:, None])[:, 0] / level, "cycle_growth": level / then}
        for around in self.scope.around:
            near = self._sums.mean(series, np.maximum(place - around, 0), np.minimum(place + around + 1, origin))
            columns[f"cycle_{around}"] = np.where(place < 0, np.nan, near / then)
        columns["cycle_rule"] = columns[f"cycle_{self.scope.around[1]}"] * columns["cycle_growth"]
        return columns

    def _groups_columns(self, series: Places, origin: Places, step: Places) -> dict[str, np.ndarray]:
        short, long = self.scope.level
        back = self.scope.cycle
        season = max(self.panel.season, self.scope.windows[0])
        place = origin + step - 1 - -(-step // back) * back
        columns = {}
        for name, (code, sums) in self._groups.items():
            group = code[series]
            now, then, longer = (
                positive(sums.mean(group, end - length, end)) for end, length in ((origin, short), (origin - back, short), (origin, long))
            )
            columns[f"{name}_recent"] = sums.mean(group, origin - season, origin) / now
            columns[f"{name}_rise"] = now / longer
            columns[f"{name}_growth"] = now / then
            for around in self.scope.around[1:]:
                near = sums.mean(group, np.maximum(place - around, 0), np.minimum(place + around + 1, origin))
                columns[f"{name}_cycle_{around}"] = np.where(place < 0, np.nan, near / then)
        return columns

    def _published(self, series: Places, target: Places) -> dict[str, np.ndarray]:
        reach = self.scope.published
        last = len(self.panel.times) - 1
        columns: dict[str, np.ndarray] = {}
        for shift in range(-reach, reach + 1):
            place = np.clip(target + shift, 0, last)
            outside = place != target + shift
            if self.rests.any() and shift:
                columns[f"rests_{shift:+d}"] = np.where(outside, np.nan, self.rests[series, place])
            for name, values in self.panel.known.items():
                if abs(shift) < max(reach, 2):
                    columns[f"{name}_{shift:+d}" if shift else name] = np.where(outside, np.nan, values[series, place])
        return columns

    def _recent(self, series: Places, places: Places) -> Numbers:
        """The values at these places, shape of `places` (rows, any), NaN where unknown or before the beginning."""
        clipped = np.maximum(places, 0)
        rows = series[:, None]
        return np.where((places >= 0) & self.known[rows, clipped], self._values[rows, clipped], np.nan)


def first_known(known: Flags) -> Places:
    """Each series' first known step, T where there is none, shape (n,)."""
    first: Places = np.where(known.any(axis=1), known.argmax(axis=1), known.shape[1])
    return first


def group_totals(values: Numbers, known: Flags, codes: Places) -> Numbers:
    """What each group sold, shape (groups, T); NaN where none of its series is known."""
    totals = np.zeros((codes.max() + 1, values.shape[1]))
    np.add.at(totals, codes, np.where(known, np.maximum(values, 0.0), 0.0))
    some = np.zeros(totals.shape, dtype=bool)
    np.logical_or.at(some, codes, known)
    return np.where(some, totals, np.nan)


def starts(panel: Panel, known: Flags) -> Numbers:
    """What a series can be expected to begin with, shape (n,): the median beginning of those that share its attributes, or of all."""
    first = first_known(known)
    begun = np.flatnonzero(first < panel.seen)
    means = Sums(np.maximum(np.nan_to_num(panel.values), 0.0), known).mean(begun, first[begun], first[begun] + BEGINNING)
    begun, means = begun[means > 0], means[means > 0]
    start = np.full(len(first), float(np.median(means)) if means.size else 1.0)
    kinds = np.stack([np.zeros_like(first), *panel.static.values()], axis=1)
    for kind in np.unique(kinds, axis=0):
        alike = (kinds == kind).all(axis=1)
        if alike[begun].any():
            start[alike] = np.median(means[alike[begun]])
    return start


def running(values: np.ndarray) -> Numbers:
    """The sums of the steps before each, and of all, shape (n, T + 1)."""
    return np.cumsum(np.pad(values, ((0, 0), (1, 0))), axis=1, dtype=np.float64)


def positive(values: Numbers) -> Numbers:
    """The values that one can divide by, NaN in place of the others."""
    return np.where(values > 0, values, np.nan)


def known_mean(values: Numbers) -> Numbers:
    """The mean of each row's known values, NaN where none is known."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        mean: Numbers = np.where(known, values, 0.0).sum(axis=1) / known.sum(axis=1)
    return mean


def sorted_share(values: Numbers, share: float) -> Numbers:
    """The value below which this share of each row's known values lies, NaN where none is known."""
    ordered = np.sort(values, axis=1)
    count = (~np.isnan(values)).sum(axis=1)
    place = np.minimum((share * count).astype(np.int64), np.maximum(count - 1, 0))
    found: Numbers = ordered[np.arange(len(values)), place]
    return found
