"""A panel: series on a common calendar, with their covariates."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from ml.forecaster.arrays import Booleans, Floats, Integers
from ml.forecaster.closures import idle_steps, weekly_closures


class Frequency(StrEnum):
    """The length of a step."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"


@dataclass(frozen=True)
class Panel:
    """n series on a calendar of T steps of history and H steps to come."""

    names: tuple[str, ...]
    times: NDArray[np.datetime64]
    """The calendar, datetime64[s] or whole numbers, shape (T + H,)."""
    values: Floats
    """Shape (n, T); NaN is unknown, as before the first value of a series."""
    closed: Booleans
    """Whether a series is known in advance to be closed, shape (n, T + H)."""
    covariates: Mapping[str, Floats]
    """What is known in advance, by name, each of shape (n, T + H); NaN is unknown."""
    static: Mapping[str, Integers]
    """Attributes of the series, by name: codes from 0, each of shape (n,)."""
    frequency: Frequency
    season: int
    """Steps in a season; 1 for none."""

    @property
    def length(self) -> int:
        """T: the number of steps of history."""
        return int(self.values.shape[1])

    @property
    def horizon(self) -> int:
        """H: the number of steps to come."""
        return len(self.times) - self.length

    def before(self, origin: int, horizon: int) -> "Panel":
        """The panel as known after `origin` steps: their history, and calendar, closures and covariates of the next `horizon` steps."""
        end = origin + horizon
        covariates = {name: values[:, :end] for name, values in self.covariates.items()}
        return replace(self, times=self.times[:end], values=self.values[:, :origin], closed=self.closed[:, :end], covariates=covariates)

    def closures(self) -> Booleans:
        """Whether each series is closed, shape (n, T + H): as known in advance and, unless steps are hours, as the history shows.

        Past steps on which the whole panel sold nothing were closed, unless so little sells that this happens by chance. A day to come is
        closed if its weekday had no sale for eight weeks.
        """
        if self.frequency is Frequency.HOUR:
            return self.closed
        past = idle_steps(self.values)
        to_come = np.zeros(self.horizon, dtype=bool)
        if self.frequency is Frequency.DAY:
            to_come = weekly_closures(~np.nansum(np.abs(self.values), axis=0).astype(bool), self.times)[self.length :]
        closed: Booleans = self.closed | np.concatenate([past, to_come])
        return closed
