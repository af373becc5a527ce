"""The context of a panel: what the features of one series take from the others, or is expensive to compute."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ml.forecaster.arrays import Booleans, Floats, Integers
from ml.forecaster.panel import Panel
from ml.forecaster.smoothing import SmoothingStates, smooth
from ml.forecaster.windows import WindowMeans

# The first steps of a series, whose mean other series are expected to start with.
START_STEPS = 28


@dataclass(frozen=True)
class Group:
    """A grouping of the series, such as by category."""

    codes: Integers
    """The group of each series, shape (n,)."""
    totals: Floats
    """The sums of each group, shape (groups, T); NaN where nothing is known or the whole group is closed."""


@dataclass(frozen=True)
class Context:
    """The context of n series with T steps of history and H to come."""

    closed: Booleans
    """Whether each series is closed, shape (n, T + H)."""
    groups: Mapping[str, Group]
    """The groupings, by name."""
    starts: Floats
    """The level that each series is expected to start with, shape (n,)."""
    smoothing: SmoothingStates


def build_context(panel: Panel, groups: Mapping[str, Group] | None = None, end: int | None = None) -> Context:
    """The context of a panel.

    groups: by default the total and one grouping for each static attribute
    end: the parameters of exponential smoothing are chosen by the steps before this one, by default by all
    """
    closed = panel.closures()
    past_closed = closed[:, : panel.length]
    known = ~np.isnan(panel.values) & ~past_closed
    if groups is None:
        codes = {"total": np.zeros(len(panel.names), dtype=np.int64), **panel.static}
        groups = {name: Group(code, _group_totals(panel.values, known, code)) for name, code in codes.items()}
    return Context(closed, groups, _starting_levels(panel, known), smooth(panel.values, past_closed, panel.season, end))


def first_known(known: Booleans) -> Integers:
    """The first known step of each series, T where there is none, shape (n,)."""
    first: Integers = np.where(known.any(axis=1), known.argmax(axis=1), known.shape[1])
    return first


def _group_totals(values: Floats, known: Booleans, codes: Integers) -> Floats:
    """The sums of each group, shape (groups, T); NaN where none of its series is known."""
    totals = np.zeros((codes.max() + 1, values.shape[1]))
    np.add.at(totals, codes, np.where(known, np.maximum(values, 0.0), 0.0))
    some = np.zeros(totals.shape, dtype=bool)
    np.logical_or.at(some, codes, known)
    return np.where(some, totals, np.nan)


def _starting_levels(panel: Panel, known: Booleans) -> Floats:
    """The level that each series is expected to start with, shape (n,): the median of those with the same static attributes, or of all."""
    first = first_known(known)
    started = np.flatnonzero(first < panel.length)
    values = np.maximum(np.nan_to_num(panel.values), 0.0)
    means = WindowMeans(values, known).mean(started, first[started], first[started] + START_STEPS)
    started, means = started[means > 0], means[means > 0]
    levels = np.full(len(first), float(np.median(means)) if means.size else 1.0)
    attributes = np.stack([np.zeros_like(first), *panel.static.values()], axis=1)
    for combination in np.unique(attributes, axis=0):
        alike = (attributes == combination).all(axis=1)
        if alike[started].any():
            levels[alike] = np.median(means[alike[started]])
    return levels
