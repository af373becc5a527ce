"""Small panels with a predictable future."""

from collections.abc import Mapping

import numpy as np

from ml.forecaster.arrays import Booleans, Floats
from ml.forecaster.panel import Frequency, Panel

MONDAY = np.datetime64("2020-01-06")


def panel(values: Floats, horizon: int = 0, covariates: Mapping[str, Floats] | None = None, closed: Booleans | None = None) -> Panel:
    """Daily series from a Monday, with `horizon` days to come, which covariates and closures cover too."""
    count, length = values.shape
    return Panel(
        names=tuple(f"series {index}" for index in range(count)),
        times=(MONDAY + np.arange(length + horizon)).astype("datetime64[s]"),
        values=values,
        closed=np.zeros((count, length + horizon), dtype=bool) if closed is None else closed,
        covariates=covariates or {},
        static={},
        frequency=Frequency.DAY,
        season=7,
    )


def trend_and_week(days: int, count: int = 12) -> Floats:
    """Series that rise by a tenth of their size in a hundred days and sell twice as much on Mondays."""
    day = np.arange(days)
    week = np.array([2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5])[day % 7]
    rising: Floats = (20.0 + 10 * np.arange(count))[:, None] * (1 + day / 1000) * week
    return rising
