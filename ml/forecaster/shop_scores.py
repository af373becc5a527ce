"""Scores of a shop's forecasts in the test and validation windows."""

from collections.abc import Mapping, Sequence

import numpy as np

from ml.forecaster import metrics
from ml.forecaster.accuracy import WINDOW
from ml.forecaster.arrays import Floats, overall_mean
from ml.forecaster.forecasts import METRICS, UNITS_METRIC, Metric, Point, Scope, ScopeKind
from ml.forecaster.model import Forecaster
from ml.forecaster.panel import Frequency, Panel
from ml.forecaster.periods import WEEK
from ml.forecaster.shop import Shop

# Three windows end with the data, and three end where these start.
WINDOWS = 3
# The products that are scored: those with the highest revenue in the year before the first window.
SCORED_PRODUCTS, REVENUE_DAYS = 200, 365
# The intervals whose ends are the quantiles at `metrics.SCORED_LEVELS`.
INTERVALS = (20, 40, 60, 80, 95)

SCOPE_SCORES = ("mase", "rmsse", "cov80", "cov95", "week_cov80", "week_cov95")

# The mean, shape (n, h), and the quantiles at `metrics.SCORED_LEVELS`, shape (n, h, 11).
Forecasts = tuple[Floats, Floats]


def window_origins(shop: Shop) -> dict[str, list[int]]:
    """The origins of the windows, in days of history."""
    return {
        name: [shop.day_count - WINDOW * back for back in range(last + WINDOWS, last, -1)]
        for name, last in (("validation", WINDOWS), ("test", 0))
    }


def scored_products(shop: Shop, origin: int) -> list[int]:
    """The indices of the products to score, in order of their revenue; fewer if fewer have sold."""
    revenue = shop.revenue[:, max(0, origin - REVENUE_DAYS) : origin].sum(axis=1)
    best = np.argsort(-revenue, kind="stable")[:SCORED_PRODUCTS]
    sold: list[int] = best[revenue[best] > 0].tolist()
    return sold


def product_panel(shop: Shop, products: Sequence[int], origin: int) -> Panel:
    """The units of products as known at an origin, with the days of the window to come. products: as indices"""
    units = shop.units[products, :origin]
    started = units.cumsum(axis=1) > 0
    times = (shop.first_day + np.arange(origin + WINDOW)).astype("datetime64[s]")
    return Panel(
        names=tuple(shop.products[index] for index in products),
        times=times,
        values=np.where(started, units, np.nan),
        closed=np.zeros((len(products), len(times)), dtype=bool),
        covariates={},
        static={},
        frequency=Frequency.DAY,
        season=WEEK,
    )


def product_forecasts(forecaster: Forecaster, products: Sequence[str]) -> Forecasts:
    """The forecasts of the units of these products in the window."""
    points = [forecaster.forecast(Scope("product", product), UNITS_METRIC, WINDOW, "day", INTERVALS) for product in products]
    mean = np.array([[point.mean for point in row] for row in points])
    lower = [[[point.bands[level][0] for level in reversed(INTERVALS)] for point in row] for row in points]
    upper = [[[point.bands[level][1] for level in INTERVALS] for point in row] for row in points]
    median = [[[point.median] for point in row] for row in points]
    return mean, np.concatenate([lower, median, upper], axis=2)


def window_scores(shop: Shop, products: Sequence[int], panel: Panel, forecasts: Forecasts) -> dict[str, float]:
    """The scores of forecasts of products in one window.

    shop: with the days of the window
    products, panel: as indices, and as from `product_panel`
    """
    actual = shop.units[products, panel.length : panel.length + WINDOW]
    open_days = ~panel.closures()[:, panel.length :]
    scores = metrics.panel_scores(panel.values, WEEK, actual, *forecasts, open_days)
    return {name: scores[name] for name in ("mase", "sql", "cov80", "cov95", *metrics.ONE_SIDED)} | {"total_rmsse": scores["rmsse_total"]}


def series_scores(shop: Shop, products: Sequence[int], panel: Panel, forecasts: Forecasts) -> dict[str, dict[str, float]]:
    """MASE and SQL of each product, by its id, that can be scored in one window. Arguments as of `window_scores`"""
    actual = shop.units[products, panel.length : panel.length + WINDOW]
    scale, (_, quantiles) = metrics.seasonal_scale(panel.values, WEEK), forecasts
    found: dict[str, dict[str, float]] = {"mase": {}, "sql": {}}
    for row in np.flatnonzero(~np.isnan(scale)):
        own, scored, unit = actual[[row]], quantiles[[row]], scale[[row]]
        found["mase"][panel.names[row]] = metrics.mase(own, scored[:, :, metrics.SCORED_LEVELS.index(0.5)], unit)
        found["sql"][panel.names[row]] = metrics.scaled_quantile_loss(own, scored[:, :, 1:-1], unit)
    return found


def scope_scores(forecaster: Forecaster, shop: Shop) -> dict[str, float]:
    """The scores of every scope in one window, averaged by metric and kind of scope, as `units.product.mase`.

    shop: with the days of the window
    """
    scores: dict[str, float] = {}
    for metric in METRICS:
        sales = dict(zip(_scopes(shop), shop.sales_by_scope(metric), strict=True))
        by_kind: dict[str, list[list[float]]] = {}
        for scope in forecaster.scopes:
            by_kind.setdefault(scope.kind, []).append(_scores_of_scope(forecaster, scope, metric, sales[scope]))
        for kind, rows in by_kind.items():
            columns = zip(SCOPE_SCORES, np.array(rows).T, strict=True)
            scores |= {f"{metric}.{kind}.{name}": overall_mean(column) for name, column in columns}
    return scores


def average_scores(windows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Each score, averaged over the windows in which it is known."""
    return {name: overall_mean(np.array([window[name] for window in windows])) for name in windows[0]}


def _scores_of_scope(forecaster: Forecaster, scope: Scope, metric: Metric, sales: Floats) -> list[float]:
    """The scores named in SCOPE_SCORES. sales: of each day, up to the end of the window, shape (T,)"""
    history, actual = sales[None, :-WINDOW], sales[None, -WINDOW:]
    # Days before the first sale are unknown, not zero.
    started = np.where(history.cumsum(axis=1) > 0, history, np.nan)
    days, weeks = (forecaster.forecast(scope, metric, WINDOW, period, (80, 95)) for period in ("day", "week"))
    actual_weeks = np.add.reduceat(actual[0], np.cumsum([0, *(point.day_count for point in weeks[:-1])]))
    median, mean = (np.array([[getattr(point, name) for point in days]]) for name in ("median", "mean"))
    return [
        metrics.mase(actual, median, metrics.seasonal_scale(started, WEEK)),
        metrics.rmsse(actual, mean, metrics.squared_scale(started)),
        *(_coverage(days, actual[0], level) for level in (80, 95)),
        *(_coverage(weeks, actual_weeks, level) for level in (80, 95)),
    ]


def _coverage(points: Sequence[Point], actual: Floats, level: int) -> float:
    """The share of periods whose interval holds the actual value."""
    return float(np.mean([low <= value <= high for point, value in zip(points, actual, strict=True) for low, high in [point.bands[level]]]))


def _scopes(shop: Shop) -> list[Scope]:
    """Every scope of a shop, in the order of `Shop.sales_by_scope`."""
    kinds: tuple[tuple[ScopeKind, Sequence[str]], ...] = (
        ("category", shop.categories),
        ("country", shop.countries),
        ("product", shop.products),
    )
    return [Scope(), *(Scope(kind, name) for kind, names in kinds for name in names)]
