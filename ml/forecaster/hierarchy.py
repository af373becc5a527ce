"""The hierarchy of a shop's series that are forecast."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ml.forecaster.arrays import Booleans, Floats, Integers
from ml.forecaster.closures import yearly_closures
from ml.forecaster.context import Context, Group, build_context
from ml.forecaster.forecasts import METRICS
from ml.forecaster.panel import Frequency, Panel
from ml.forecaster.periods import WEEK
from ml.forecaster.shop import Shop

# A product without a sale in so many days is discontinued.
DISCONTINUED_DAYS = 364
PRICE_TIERS = 4
# The codes of the static attribute `kind`.
SHOP, CATEGORY, COUNTRY, PRODUCT = range(4)


@dataclass(frozen=True)
class Hierarchy:
    """2A + n series: the units of the A aggregates (shop, categories, countries), their revenue, and the units of the n products."""

    panel: Panel
    context: Context
    weights: Floats
    """How often each series is drawn for training, shape (2A + n,)."""
    active: Booleans
    """Whether each series is forecast, shape (2A + n,): a product without a sale in a year is not."""


def build_hierarchy(shop: Shop, horizon: int) -> Hierarchy:
    """The hierarchy of a shop, with `horizon` days to come."""
    units, revenue = (shop.sales_by_scope(metric) for metric in METRICS)
    aggregates = shop.aggregate_count
    values = np.concatenate([units[:aggregates], revenue[:aggregates], units[aggregates:]])
    started = values.cumsum(axis=1) > 0
    prices = shop.prices()
    static = _static_attributes(shop, prices)
    idle: Booleans = units[0] == 0
    times = (shop.first_day + np.arange(shop.day_count + horizon)).astype("datetime64[s]")
    panel = Panel(
        names=("", *shop.categories, *shop.countries) * 2 + shop.products,
        times=times,
        values=np.where(started, values, np.nan),
        closed=np.broadcast_to(yearly_closures(idle, times), (len(values), len(times))),
        covariates={},
        static=static,
        frequency=Frequency.DAY,
        season=WEEK,
    )
    groups = _groups(np.where(idle, np.nan, values), static, len(shop.categories))
    # Pounds per unit of each series: the shop's average price, 1 for revenue, and each product's own.
    pounds = np.concatenate([np.full(aggregates, revenue[0].sum() / units[0].sum()), np.ones(aggregates), prices])
    recently_sold = started[:, -1] & (shop.day_count - DISCONTINUED_DAYS <= _last_sales(values))
    return Hierarchy(panel, build_context(panel, groups), _training_weights(values, pounds), recently_sold | ~started[:, -1])


def _static_attributes(shop: Shop, prices: Floats) -> dict[str, Integers]:
    """Kind, metric, category and price tier of each series, each of shape (2A + n,)."""
    aggregates, count, categories = shop.aggregate_count, len(shop.products), len(shop.categories)
    kind = np.repeat([SHOP, CATEGORY, COUNTRY], [1, categories, len(shop.countries)])
    # Shop and countries are of no category, which has a code of its own.
    none = np.full(len(shop.countries), categories)
    category = np.concatenate([none[:1], np.arange(categories), none]) if len(none) else np.zeros(aggregates, dtype=np.int64)
    tier = np.searchsorted(np.quantile(prices, np.arange(1, PRICE_TIERS) / PRICE_TIERS), prices)
    return {
        "kind": np.concatenate([kind, kind, np.full(count, PRODUCT)]),
        "metric": np.repeat([0, 1, 0], [aggregates, aggregates, count]),
        "category": np.concatenate([category, category, shop.category]),
        "price": np.concatenate([np.full(2 * aggregates, PRICE_TIERS), tier]),
    }


def _groups(values: Floats, static: Mapping[str, Integers], categories: int) -> dict[str, Group]:
    """The groupings by metric (`total`), and by metric and category."""
    aggregates = int((static["kind"] != PRODUCT).sum()) // 2
    metric, category = static["metric"], static["category"]
    shops = values[[0, aggregates]]
    # Series of no category are grouped with the shop.
    by_metric = [values[start + 1 : start + 1 + categories] for start in (0, aggregates)]
    totals = np.concatenate([by_metric[0], shops[:1], by_metric[1], shops[1:]])
    return {"total": Group(metric, shops), "category": Group(metric * (categories + 1) + np.minimum(category, categories), totals)}


def _training_weights(values: Floats, pounds: Floats) -> Floats:
    """The root of what each series sold in the last year, in pounds, shape (2A + n,). pounds: per unit of each series"""
    weights: Floats = np.sqrt(values[:, -DISCONTINUED_DAYS:].sum(axis=1) * pounds)
    return weights


def _last_sales(values: Floats) -> Integers:
    """The last day on which each series sold, -1 for never, shape (2A + n,)."""
    sold = values > 0
    return np.where(sold.any(axis=1), values.shape[1] - 1 - sold[:, ::-1].argmax(axis=1), -1)
