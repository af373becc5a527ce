"""Fits a forecaster to a shop's sales."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ml.forecaster import period_sums, reconcile
from ml.forecaster.accuracy import HELD_BACK, WINDOW
from ml.forecaster.arrays import Booleans, Floats
from ml.forecaster.direct import Direct, Fit, Forecast, fit
from ml.forecaster.features import Features
from ml.forecaster.forecasts import METRICS, REVENUE_METRIC, UNITS_METRIC, Metric
from ml.forecaster.hierarchy import PRODUCT, Hierarchy, build_hierarchy
from ml.forecaster.hyperparameters import Hyperparameters
from ml.forecaster.model import AGGREGATES, HORIZON, PRODUCTS, Forecaster
from ml.forecaster.periods import WEEK
from ml.forecaster.quantiles import LEVELS
from ml.forecaster.reconcile import Levels
from ml.forecaster.sampling import Rows, Sampling
from ml.forecaster.shop import Shop
from ml.forecaster.tables import Tables

# A shop has few categories and countries: their models need fewer rows than those of its products.
AGGREGATE_ROWS_SHARE = 1 / 3
# The days held back, and four weeks before them to learn from.
MIN_DAYS = HELD_BACK + WINDOW


class HistoryTooShort(ValueError):
    """There are too few days of sales to learn from. The text is for people."""


@dataclass(frozen=True)
class _Forecasts:
    """Direct forecasts of all series: of the days to come, and of the days held back, beside what was sold on these."""

    future: Forecast
    backtest: Forecast
    actual: Floats


@dataclass(frozen=True)
class _Prices:
    """What a unit of each product is worth, shape (n,): now, and as it was before the days held back."""

    now: Floats
    backtest: Floats


@dataclass(frozen=True)
class _Means:
    """Reconciled means of all scopes in a metric."""

    future: Floats
    """Of the days to come, shape (N, horizon)."""
    backtest: Floats
    """Of the days held back, shape (N, HELD_BACK)."""


def fit_shop(shop: Shop, hyperparameters: Hyperparameters, facts: Mapping[str, object], horizon: int = HORIZON) -> Forecaster:
    """Fits a forecaster to all sales of a shop.

    facts: what else to save in the artifact, such as the parameters and the hash of the data
    horizon: the days to forecast; the models are the same for any number

    Raises `HistoryTooShort`.
    """
    if shop.day_count < MIN_DAYS:
        raise HistoryTooShort(f"{shop.day_count} days of sales are too few: it takes {MIN_DAYS} before the first that is forecast.")
    hierarchy = build_hierarchy(shop, HORIZON)
    features = Features(hierarchy.panel, hierarchy.context)
    # Sales of single products are sparse and erratic, unlike those of aggregates: each set has models of its own.
    products: Booleans = hierarchy.panel.static["kind"] == PRODUCT
    sets = {AGGREGATES: ~products, PRODUCTS: products}
    fits = {name: _fit_set(hierarchy, features, members, hyperparameters, name) for name, members in sets.items()}
    forecasts = _Forecasts(
        _sum(
            [
                _forecast_series(fits[name].final, features, members & hierarchy.active, shop.day_count, horizon)
                for name, members in sets.items()
            ]
        ),
        _forecast_held_back(fits, sets, features),
        np.nan_to_num(hierarchy.panel.values[:, -HELD_BACK:]),
    )
    boosters = {f"{name}_{aim}": booster for name, fit in fits.items() for aim, booster in fit.final.boosters.items()}
    return Forecaster({**facts, **_facts(shop, features, fits)}, _build_tables(shop, hierarchy, forecasts), boosters)


def _fit_set(hierarchy: Hierarchy, features: Features, members: Booleans, hyperparameters: Hyperparameters, name: str) -> Fit:
    """Fits the models of a set of series."""
    if name == AGGREGATES:
        hyperparameters = replace(hyperparameters, rows=round(hyperparameters.rows * AGGREGATE_ROWS_SHARE))
    sampling = Sampling(HORIZON, WINDOW, np.where(members & hierarchy.active, hierarchy.weights, 0.0))
    return fit(features, sampling, hyperparameters, HELD_BACK)


def _forecast_series(models: Direct, features: Features, members: Booleans, origin: int, horizon: int) -> Forecast:
    """The forecasts of these series from an origin, shape (all series, horizon) and (all series, horizon, 7); zero for other series."""
    series = np.flatnonzero(members)
    mean, quantiles = np.zeros((len(members), horizon)), np.zeros((len(members), horizon, len(LEVELS)))
    rows = Rows(np.repeat(series, horizon), np.full(len(series) * horizon, origin), np.tile(np.arange(1, horizon + 1), len(series)))
    forecast = models.forecast(features, rows)
    mean[series], quantiles[series] = forecast.mean.reshape(-1, horizon), forecast.quantiles.reshape(-1, horizon, len(LEVELS))
    return Forecast(mean, quantiles)


def _forecast_held_back(fits: Mapping[str, Fit], sets: Mapping[str, Booleans], features: Features) -> Forecast:
    """The forecasts of the days held back, window by window, by the models fitted before them."""
    length = features.panel.length
    windows = [
        _sum([_forecast_series(fits[name].before, features, members, origin, WINDOW) for name, members in sets.items()])
        for origin in range(length - HELD_BACK, length, WINDOW)
    ]
    return Forecast(
        np.concatenate([window.mean for window in windows], axis=1), np.concatenate([window.quantiles for window in windows], axis=1)
    )


def _sum(forecasts: list[Forecast]) -> Forecast:
    """The forecasts of all sets of series, each of which is zero for the others."""
    return Forecast(
        np.sum([forecast.mean for forecast in forecasts], axis=0), np.sum([forecast.quantiles for forecast in forecasts], axis=0)
    )


def _build_tables(shop: Shop, hierarchy: Hierarchy, forecasts: _Forecasts) -> Tables:
    prices = _Prices(shop.prices(), shop.prices(shop.day_count - HELD_BACK))
    static, smoothing = hierarchy.panel.static, hierarchy.context.smoothing
    units, revenue = (_reconcile(shop, metric, forecasts, prices) for metric in METRICS)
    future = _move_quantiles(forecasts.future, _rows_of_series(shop, units.future, revenue.future))
    # Errors of sums are measured around means as those that they are applied to. The weights of the reconciliation were fitted to the days
    # held back, so a backtest on these days does without it.
    backtest = forecasts.backtest
    reconciled = _move_quantiles(backtest, _rows_of_series(shop, units.backtest, revenue.backtest))
    groups = period_sums.error_groups(static["kind"])
    return Tables(
        units=shop.sales_by_scope(UNITS_METRIC).astype(np.float32),
        revenue=shop.sales_by_scope(REVENUE_METRIC).astype(np.float32),
        mean_units=units.future,
        mean_revenue=revenue.future,
        quantiles=future.quantiles.astype(np.float32),
        backtest_mean=backtest.mean.astype(np.float32),
        backtest_quantiles=backtest.quantiles.astype(np.float32),
        sum_errors=period_sums.measure_errors(forecasts.actual, reconciled.mean, reconciled.quantiles, groups),
        price=prices.now,
        backtest_price=prices.backtest,
        level=smoothing.level[:, -1],
        trend=smoothing.trend[:, -1],
        factors=smoothing.factors[:, -WEEK:],
        starts=hierarchy.context.starts,
        closed=hierarchy.context.closed[0],
        kind=static["kind"],
        metric=static["metric"],
        category=static["category"],
        tier=static["price"],
    )


def _facts(shop: Shop, features: Features, fits: Mapping[str, Fit]) -> dict[str, object]:
    """The facts of the artifact."""
    calibrations = {name: fit.final.calibration for name, fit in fits.items()}
    return {
        "first_date": str(shop.first_day),
        "products": list(shop.products),
        "categories": list(shop.categories),
        "countries": list(shop.countries),
        "features": list(features.names),
        "settled": {name: vars(calibration) for name, calibration in calibrations.items()},
    }


def _reconcile(shop: Shop, metric: Metric, forecasts: _Forecasts, prices: _Prices) -> _Means:
    """The means of all scopes in a metric, so that they add up."""
    one = np.ones(len(shop.products))
    now, before = (prices.now, prices.backtest) if metric == REVENUE_METRIC else (one, one)
    direct, past = _levels(shop, metric, forecasts.future.mean, now), _levels(shop, metric, forecasts.backtest.mean, before)
    weights = reconcile.fit_weights(past, _levels(shop, metric, forecasts.actual, before), shop.category)
    future, backtest = (reconcile.reconcile(levels, shop.category, weights) for levels in (direct, past))
    return _Means(future.rows(), backtest.rows())


def _rows_of_series(shop: Shop, units: Floats, revenue: Floats) -> Floats:
    """The means of all series, shape (2A + n, days). units, revenue: of all scopes, shape (A + n, days)"""
    aggregates = shop.aggregate_count
    return np.concatenate([units[:aggregates], revenue[:aggregates], units[aggregates:]])


def _move_quantiles(direct: Forecast, mean: Floats) -> Forecast:
    """Forecasts with other means, and quantiles changed in the same proportion."""
    ratio = np.divide(mean, direct.mean, out=np.ones_like(mean), where=direct.mean > 0)
    return Forecast(mean, direct.quantiles * ratio[:, :, None])


def _levels(shop: Shop, metric: Metric, rows: Floats, price: Floats) -> Levels:
    """The rows of a metric by level of the hierarchy, those of products times a price. rows: of all series, shape (2A + n, days)"""
    categories, aggregates = len(shop.categories), shop.aggregate_count
    own = rows[METRICS.index(metric) * aggregates :][:aggregates]
    return Levels(own[0], own[1 : 1 + categories], own[1 + categories :], rows[2 * aggregates :] * price[:, None])
