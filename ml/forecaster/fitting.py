"""A forecaster, fitted to what a shop has sold."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ml.forecaster import periods, reconcile
from ml.forecaster.direct import Direct, Draw, Forecast, Recipe, fit
from ml.forecaster.features import Features, Places
from ml.forecaster.model import HELD_BACK, HORIZON, NEAR, SINGLE, WIDE, Forecaster, Tables
from ml.forecaster.panel import Numbers
from ml.forecaster.quantiles import KNOTS
from ml.forecaster.reconcile import Levels
from ml.forecaster.seasons import WEEK
from ml.forecaster.shop import METRICS, PRODUCT, REVENUE_METRIC, UNITS_METRIC, Metric, Shop, pyramid

# A shop has few categories and countries: their models need fewer rows than those of its products.
WIDE_ROWS = 1 / 3
# Those held back, and four weeks to learn from before them.
LEAST_DAYS = HELD_BACK + NEAR


class TooShort(Exception):
    """There are too few days to learn from. The text is for people."""


def fit_shop(shop: Shop, recipe: Recipe, facts: Mapping[str, object], horizon: int = HORIZON) -> Forecaster:
    """A forecaster of all that a shop has sold.

    facts: what is to be saved with it, such as the parameters and the hash of the data
    horizon: how many days are laid out; the models learn from all HORIZON, so that the first days of fewer are the very same

    Raises `TooShort`.
    """
    if shop.day_count < LEAST_DAYS:
        raise TooShort(f"{shop.day_count} days of sales are too few: it takes {LEAST_DAYS} before the first that is forecast.")
    tower = pyramid(shop, HORIZON)
    features = Features(tower.panel, tower.around)
    # What is sold of one product is another kind of thing than what a shop sells: sparse, and wild. Each has models of its own.
    products = tower.panel.static["kind"] == PRODUCT
    parts = {WIDE: ~products, SINGLE: products}
    recipes = {WIDE: replace(recipe, rows=round(recipe.rows * WIDE_ROWS)), SINGLE: recipe}
    fits = {
        name: fit(features, Draw(HORIZON, NEAR, np.where(part & tower.live, tower.chances, 0.0)), recipes[name], HELD_BACK)
        for name, part in parts.items()
    }
    ahead = added(
        [laid(fits[name].final, features, np.flatnonzero(part & tower.live), shop.day_count, horizon) for name, part in parts.items()]
    )
    origins = range(shop.day_count - HELD_BACK, shop.day_count, NEAR)
    tried = in_a_row(
        [
            added([laid(fits[name].before, features, np.flatnonzero(part), origin, NEAR) for name, part in parts.items()])
            for origin in origins
        ]
    )
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
    known = {
        "first_date": str(shop.first_day),
        "products": list(shop.products),
        "categories": list(shop.categories),
        "countries": list(shop.countries),
        "features": list(features.names),
        "settled": {name: {**vars(fit.final.settled), "widths": list(fit.final.settled.widths)} for name, fit in fits.items()},
    }
    boosters = {f"{name}_{aim}": booster for name, fit in fits.items() for aim, booster in fit.final.boosters.items()}
    return Forecaster({**facts, **known}, tables, boosters)


def laid(direct: Direct, features: Features, series: Places, origin: int, horizon: int) -> Forecast:
    """The forecasts of these series after `origin` days, laid out by series and day: shape (all, horizon); zero for the other series."""
    count = len(features.panel.names)
    mean, knots = np.zeros((count, horizon)), np.zeros((count, horizon, len(KNOTS)))
    rows = (np.repeat(series, horizon), np.full(len(series) * horizon, origin), np.tile(np.arange(1, horizon + 1), len(series)))
    made = direct.forecast(features, rows)
    mean[series], knots[series] = made.mean.reshape(-1, horizon), made.knots.reshape(-1, horizon, len(KNOTS))
    return Forecast(mean, knots)


def added(parts: list[Forecast]) -> Forecast:
    """The forecasts of parts, each zero where the others are."""
    return Forecast(*(np.sum([getattr(part, name) for part in parts], axis=0) for name in ("mean", "knots")))


def in_a_row(windows: list[Forecast]) -> Forecast:
    """The forecasts of windows that follow each other."""
    return Forecast(*(np.concatenate([getattr(window, name) for window in windows], axis=1) for name in ("mean", "knots")))


def coherent(shop: Shop, metric: Metric, mean: Numbers, tried: Numbers, actual: Numbers, price: Numbers, tried_price: Numbers) -> Numbers:
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
