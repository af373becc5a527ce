"""A panel: many series on one calendar, beside what is known in advance of their future."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from ml.forecaster.seasons import weekly_rest

Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]


class Frequency(StrEnum):
    """How long a step is."""

    DAY = "day"
    WEEK = "week"
    HOUR = "hour"


@dataclass(frozen=True)
class Panel:
    """Series that share a calendar of T steps seen and H steps to come.

    names: what each series is called, n of them
    times: the calendar, datetime64[s], shape (T + H,)
    values: what was measured, shape (n, T); NaN is unknown, as before a series' first value
    shut: whether a series is published to rest, shape (n, T + H)
    known: what is published in advance, by name, each of shape (n, T + H); NaN is unknown
    static: what a series is, by name: codes from 0, each of shape (n,)
    """

    names: tuple[str, ...]
    times: NDArray[np.datetime64]
    values: Numbers
    shut: Flags
    known: Mapping[str, Numbers]
    static: Mapping[str, NDArray[np.int64]]
    frequency: Frequency
    season: int

    @property
    def seen(self) -> int:
        """T: how many steps were seen."""
        return int(self.values.shape[1])

    @property
    def ahead(self) -> int:
        """H: how many steps are to come."""
        return len(self.times) - self.seen

    def before(self, origin: int, ahead: int) -> "Panel":
        """The panel as it was after `origin` steps, with `ahead` steps to come; nothing later is in it but what was published."""
        end = origin + ahead
        known = {name: values[:, :end] for name, values in self.known.items()}
        return replace(self, times=self.times[:end], values=self.values[:, :origin], shut=self.shut[:, :end], known=known)

    def rests(self) -> Flags:
        """Whether nothing can be sold, shape (n, T + H): published, or seen in the past and by rule in the future.

        A past day on which the whole panel sold nothing was shut. A coming one is when that weekday had no sale for eight weeks.
        """
        if self.frequency is not Frequency.DAY:
            return self.shut
        idle = ~np.nansum(np.abs(self.values), axis=0).astype(bool)
        resting: Flags = self.shut | np.concatenate([idle, weekly_rest(idle, self.times)[self.seen :]])
        return resting
