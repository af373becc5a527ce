"""A forecaster, fitted to what a shop has sold."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ml.forecaster import periods, reconcile
from ml.forecaster.direct import Direct, Draw, Forecast, Recipe, fit
from ml.forecaster.features import Features, Places
from ml.forecaster.model import HELD_BACK, HORIZON, NEAR, Forecaster, Tables
from ml.forecaster.panel import Numbers
from ml.forecaster.quantiles import KNOTS
from ml.forecaster.reconcile import Levels
from ml.forecaster.seasons import WEEK
from ml.forecaster.shop import METRICS, REVENUE_METRIC, UNITS_METRIC, Metric, Shop, pyramid


def fit_shop(shop: Shop, recipe: Recipe, facts: Mapping[str, object]) -> Forecaster:
    """A forecaster of all that a shop has sold.

    facts: what is to be saved with it, such as the parameters and the hash of the data
    """
    tower = pyramid(shop, HORIZON)
    features = Features(tower.panel, tower.around)
    fitted = fit(features, Draw(HORIZON, NEAR, np.where(tower.live, tower.chances, 0.0)), recipe, HELD_BACK)
    ahead = laid(fitted.final, features, np.flatnonzero(tower.live), shop.day_count, HORIZON)
    tried = in_a_row([
        laid(fitted.before, features, np.arange(len(tower.live)), shop.day_count - back, NEAR) for back in range(HELD_BACK, 0, -NEAR)
    ])
    price = shop.prices()
    earlier = replace(
        shop, **{name: getattr(shop, name)[:, :-HELD_BACK] for name in ("units", "revenue", "country_units", "country_revenue")}
    )
    tried_price = earlier.prices()
    static, smoothed = tower.panel.static, tower.around.smoothed
    actual = np.nan_to_num(tower.panel.values[:, -HELD_BACK:])
    tables = Tables(
        units=shop.places(UNITS_METRIC).astype(np.float32),
        revenue=shop.places(REVENUE_METRIC).astype(np.float32),
        mean_units=coherent(shop, UNITS_METRIC, ahead.mean, tried.mean, actual, price, tried_price),
        mean_revenue=coherent(shop, REVENUE_METRIC, ahead.mean, tried.mean, actual, price, tried_price),
        knots=ahead.knots.astype(np.float32),
        tried_mean=tried.mean.astype(np.float32),
        tried_knots=tried.knots.astype(np.float32),
        errors=periods.learn(actual, tried.mean, tried.knots, periods.kinds(static["kind"])),
        price=price,
        tried_price=tried_price,
        level=smoothed.level[:, -1],
        trend=smoothed.trend[:, -1],
        factors=smoothed.factors[:, -WEEK:],
        starts=tower.around.starts,
        rests=tower.around.rests[0],
        kind=static["kind"],
        metric=static["metric"],
        category=static["category"],
        tier=static["price"],
    )
    settled = fitted.final.settled
    known = {
        "first_date": str(shop.first_day),
        "products": list(shop.products),
        "categories": list(shop.categories),
        "countries": list(shop.countries),
        "features": list(features.names),
        "settled": {**vars(settled), "widths": list(settled.widths)},
    }
    return Forecaster({**facts, **known}, tables, fitted.final.boosters)


def laid(direct: Direct, features: Features, series: Places, origin: int, horizon: int) -> Forecast:
    """The forecasts of these series after `origin` days, laid out by series and day: shape (all, horizon); zero for the other series."""
    count = len(features.panel.names)
    mean, knots = np.zeros((count, horizon)), np.zeros((count, horizon, len(KNOTS)))
    rows = (np.repeat(series, horizon), np.full(len(series) * horizon, origin), np.tile(np.arange(1, horizon + 1), len(series)))
    made = direct.forecast(features, rows)
    mean[series], knots[series] = made.mean.reshape(-1, horizon), made.knots.reshape(-1, horizon, len(KNOTS))
    return Forecast(mean, knots)


def in_a_row(windows: list[Forecast]) -> Forecast:
    """The forecasts of windows that follow each other."""
    return Forecast(*(np.concatenate([getattr(window, name) for window in windows], axis=1) for name in ("mean", "knots")))


def coherent(
    shop: Shop, metric: Metric, mean: Numbers, tried: Numbers, actual: Numbers, price: Numbers, tried_price: Numbers
) -> Numbers:
    """The means of all places that add up, shape (N, HORIZON).

    mean, tried, actual: of the pyramid's rows: direct forecasts, those of the days held back, and what came
    price, tried_price: of each product, for the first two
    """
    of_product = (price, tried_price, tried_price) if metric == REVENUE_METRIC else (np.ones_like(price),) * 3
    direct, before, came = (levels(shop, metric, rows, factor) for rows, factor in zip((mean, tried, actual), of_product, strict=True))
    told = reconcile.reconcile(direct, shop.category, reconcile.learn(before, came, shop.category))
    return np.concatenate([told.shop[None], told.categories, told.countries, told.products])


def levels(shop: Shop, metric: Metric, rows: Numbers, price: NDArray[np.float64]) -> Levels:
    """The rows of a pyramid, of one metric, by level; those of the products times a price."""
    categories, wide = len(shop.categories), 1 + len(shop.categories) + len(shop.countries)
    mine = rows[METRICS.index(metric) * wide :][:wide]
    return Levels(mine[0], mine[1 : 1 + categories], mine[1 + categories :], rows[2 * wide :] * price[:, None])
