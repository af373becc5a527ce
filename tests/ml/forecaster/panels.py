"""Small panels whose future is plain to see."""

from collections.abc import Mapping

import numpy as np

from ml.forecaster.panel import Frequency, Numbers, Panel

MONDAY = np.datetime64("2020-01-06")


def panel(values: Numbers, ahead: int = 0, known: Mapping[str, Numbers] | None = None, shut: np.ndarray | None = None) -> Panel:
    """Series by day from a Monday, `ahead` days to come; what is known and shut covers those too."""
    count, seen = values.shape
    return Panel(
        names=tuple(f"series {place}" for place in range(count)),
        times=(MONDAY + np.arange(seen + ahead)).astype("datetime64[s]"),
        values=values,
        shut=np.zeros((count, seen + ahead), dtype=bool) if shut is None else shut,
        known=known or {},
        static={},
        frequency=Frequency.DAY,
        season=7,
    )


def trend_and_week(days: int, count: int = 12) -> Numbers:
    """Series that rise by a tenth of their size in a hundred days and sell twice as much on Mondays."""
    day = np.arange(days)
    week = np.array([2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5])[day % 7]
    rising: Numbers = (20.0 + 10 * np.arange(count))[:, None] * (1 + day / 1000) * week
    return rising
