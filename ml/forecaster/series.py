"""One series of a forecaster: its stored forecasts and its history, by period."""

from datetime import date

import numpy as np
from numpy.typing import NDArray

from ml.forecaster.arrays import Floats
from ml.forecaster.forecasts import REVENUE_METRIC, UNITS_METRIC, Granularity, HistoryPoint, Metric, Point
from ml.forecaster.period_sums import error_groups, sum_periods
from ml.forecaster.periods import first_days, period_starts
from ml.forecaster.quantiles import interpolate, interval_levels
from ml.forecaster.tables import Tables


class Series:
    """The series of a scope and a metric.

    index: of the scope in `tables`
    through: the last day of the history
    factors: what the forecast of each day to come is multiplied by, such as 0 for a closed day, shape (HORIZON,); by default 1
    """

    def __init__(self, tables: Tables, index: int, metric: Metric, through: date, factors: Floats | None = None) -> None:
        aggregates = tables.aggregate_count
        self.tables = tables
        self.through = through
        self.factors = factors
        self.is_product = index >= aggregates
        self.index = index
        # Products have a series of units only: their revenue is units times price.
        self.row = index + aggregates if self.is_product or metric == REVENUE_METRIC else index
        by_price = self.is_product and metric == REVENUE_METRIC
        self.price = float(tables.price[index - aggregates]) if by_price else 1.0
        self.backtest_price = float(tables.backtest_price[index - aggregates]) if by_price else 1.0
        self._metric = metric

    @property
    def history_of_all(self) -> NDArray[np.float32]:
        """The history of every scope in this metric, shape (N, T)."""
        return self.tables.units if self._metric == UNITS_METRIC else self.tables.revenue

    @property
    def history(self) -> Floats:
        """The sales of each day, shape (T,)."""
        history: Floats = self.history_of_all[self.index].astype(np.float64)
        return history

    @property
    def mean(self) -> Floats:
        """The mean of each day to come, shape (HORIZON,)."""
        means = self.tables.mean_units if self._metric == UNITS_METRIC else self.tables.mean_revenue
        mean: Floats = means[self.index]
        return mean if self.factors is None else mean * self.factors

    @property
    def quantiles(self) -> Floats:
        """The quantiles of each day to come, shape (HORIZON, 7)."""
        quantiles: Floats = self.tables.quantiles[self.row].astype(np.float64) * self.price
        return quantiles if self.factors is None else quantiles * self.factors[:, None]

    def forecast_points(self, horizon_days: int, granularity: Granularity, levels: tuple[int, ...]) -> list[Point]:
        """The forecast of the next days, by period. levels: of the intervals, in percent"""
        days = np.datetime64(self.through) + np.arange(1, horizon_days + 1)
        return self.points(days, self.mean[:horizon_days], self.quantiles[:horizon_days], granularity, levels)

    def points(
        self, days: NDArray[np.datetime64], mean: Floats, quantiles: Floats, granularity: Granularity, levels: tuple[int, ...]
    ) -> list[Point]:
        """Forecasts of consecutive days, by period. mean, quantiles: of each day, shape (d,) and (d, 7)"""
        wanted = (0.5, *(end for level in levels for end in interval_levels(level)))
        if granularity == "day":
            starts, means, ends = np.arange(len(days)), mean, interpolate(quantiles, wanted)
        else:
            starts = period_starts(days, granularity)
            # The errors of revenue are, relative to their deviation, those of the units.
            group = int(error_groups(self.tables.kind[[self.row]])[0])
            sums = sum_periods(mean, quantiles, starts, self.tables.sum_errors[group], wanted, self.price)
            means, ends = sums.mean, sums.quantiles
        counts = np.diff(np.append(starts, len(days))).tolist()
        periods = zip(first_days(days[starts], granularity), counts, means.tolist(), ends.tolist(), strict=True)
        return [
            Point(day, count, value, row[0], {level: (row[1 + 2 * i], row[2 + 2 * i]) for i, level in enumerate(levels)})
            for day, count, value, row in periods
        ]

    def history_points(self, days: int, granularity: Granularity) -> list[HistoryPoint]:
        """The sales of the last days, by period; fewer if the history is shorter."""
        history = self.history_of_all[self.index]
        values = history[max(0, len(history) - days) :].astype(np.float64)
        if not len(values):
            return []
        dates = np.datetime64(self.through) - np.arange(len(values) - 1, -1, -1)
        starts = period_starts(dates, granularity)
        counts = np.diff(np.append(starts, len(values)))
        sums = np.add.reduceat(values, starts)
        periods = zip(first_days(dates[starts], granularity), counts.tolist(), sums.tolist(), strict=True)
        return [HistoryPoint(*period) for period in periods]
