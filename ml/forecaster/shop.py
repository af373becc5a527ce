"""A shop's sales by day: of the shop, its categories, its countries and its products."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lake.columns import CATEGORY, COUNTRY, DATE, PRICE_CENTS, PRODUCT_ID, REVENUE, UNITS
from ml.forecaster.features import Context, Group, context
from ml.forecaster.panel import Flags, Frequency, Numbers, Panel
from ml.forecaster.seasons import WEEK, yearly_rest

Metric = Literal["units", "revenue"]
UNITS_METRIC: Final = "units"
REVENUE_METRIC: Final = "revenue"
METRICS: tuple[Metric, ...] = (UNITS_METRIC, REVENUE_METRIC)
# A product that sold nothing for so many days is taken for discontinued.
FORGOTTEN_DAYS = 364
# The price of a product is that of its sales in so many days.
PRICE_DAYS = 112
PRICE_TIERS = 4
# The kinds of series, as codes.
SHOP, CATEGORY_KIND, COUNTRY_KIND, PRODUCT = range(4)


@dataclass(frozen=True)
class Shop:
    """What was sold, day by day.

    first_day: the first of T days
    products, categories, countries: their names; n, C and K of them
    category: of each product, its place among the categories, shape (n,)
    list_price: of each product, pounds a unit, for where sales tell none, shape (n,)
    units, revenue: of each product, shape (n, T)
    country_units, country_revenue: of each country, shape (K, T)
    """

    first_day: np.datetime64
    products: tuple[str, ...]
    categories: tuple[str, ...]
    countries: tuple[str, ...]
    category: NDArray[np.int64]
    list_price: Numbers
    units: Numbers
    revenue: Numbers
    country_units: Numbers
    country_revenue: Numbers

    @property
    def day_count(self) -> int:
        """T: how many days there are."""
        return int(self.units.shape[1])

    def before(self, day: int) -> "Shop":
        """The shop as it was known after `day` days: without what came later, and without the products that had never sold."""
        sold: Flags = np.any(self.units[:, :day] > 0, axis=1)
        return replace(
            self,
            products=tuple(name for name, kept in zip(self.products, sold, strict=True) if kept),
            category=self.category[sold],
            list_price=self.list_price[sold],
            units=self.units[sold, :day],
            revenue=self.revenue[sold, :day],
            country_units=self.country_units[:, :day],
            country_revenue=self.country_revenue[:, :day],
        )

    def prices(self) -> Numbers:
        """What a unit of each product was sold for lately, in pounds, shape (n,)."""
        recent = slice(-PRICE_DAYS, None)
        lately = ratio(self.revenue[:, recent].sum(axis=1), self.units[:, recent].sum(axis=1))
        ever = ratio(self.revenue.sum(axis=1), self.units.sum(axis=1))
        return np.where(np.isnan(lately), np.where(np.isnan(ever), self.list_price, ever), lately)

    def places(self, metric: Metric) -> Numbers:
        """What every place sold, shape (1 + C + K + n, T): the shop, then the categories, the countries and the products."""
        products, countries = {
            UNITS_METRIC: (self.units, self.country_units),
            REVENUE_METRIC: (self.revenue, self.country_revenue),
        }[metric]
        categories = np.zeros((len(self.categories), self.day_count))
        np.add.at(categories, self.category, products)
        # As precisely as they are kept, so that the saved model computes from the very same numbers.
        whole = np.concatenate([products.sum(axis=0, keepdims=True), categories, countries, products])
        return whole.astype(np.float32).astype(np.float64)


def read_shop(folder: Path) -> Shop:
    """The shop of a folder with the clean data: `daily_sales.parquet` and `products.parquet`."""
    sales = pq.read_table(folder / "daily_sales.parquet", columns=[PRODUCT_ID, COUNTRY, DATE, UNITS, REVENUE])
    catalogue = pq.read_table(folder / "products.parquet", columns=[PRODUCT_ID, CATEGORY, PRICE_CENTS]).sort_by(PRODUCT_ID)
    products, categories = catalogue[PRODUCT_ID].to_pylist(), sorted(set(catalogue[CATEGORY].to_pylist()))
    countries = sorted(pc.unique(sales[COUNTRY]).to_pylist())
    day = sales[DATE].to_numpy().astype("datetime64[D]")
    first = day.min()
    place = (day - first).astype(np.int64)
    days = int(place.max()) + 1

    def laid(column: str, by: str, names: list[str]) -> Numbers:
        """The sums by name and day."""
        code = pc.index_in(sales[by], value_set=pa.array(names)).to_numpy()
        sums = np.bincount(code * days + place, sales[column].to_numpy(), len(names) * days)
        return sums.reshape(len(names), days).astype(np.float64)

    return Shop(
        first_day=first,
        products=tuple(products),
        categories=tuple(categories),
        countries=tuple(countries),
        category=pc.index_in(catalogue[CATEGORY], value_set=pa.array(categories)).to_numpy().astype(np.int64),
        list_price=catalogue[PRICE_CENTS].to_numpy() / 100,
        units=laid(UNITS, PRODUCT_ID, products),
        revenue=laid(REVENUE, PRODUCT_ID, products),
        country_units=laid(UNITS, COUNTRY, countries),
        country_revenue=laid(REVENUE, COUNTRY, countries),
    )


@dataclass(frozen=True)
class Pyramid:
    """The series that are forecast: the units of shop, categories and countries, their revenue, and the units of the products.

    panel: them all, n products and twice P = 1 + C + K others, with the days to come
    around: what their features need of each other
    chances: how often each is learned from, shape (2P + n,)
    live: whether each is forecast at all, shape (2P + n,): a product that sold nothing for a year is not
    """

    panel: Panel
    around: Context
    chances: Numbers
    live: Flags


def pyramid(shop: Shop, horizon: int) -> Pyramid:
    """The pyramid of a shop, with `horizon` days to come."""
    units, revenue = (shop.places(metric) for metric in METRICS)
    wide = 1 + len(shop.categories) + len(shop.countries)
    values = np.concatenate([units[:wide], revenue[:wide], units[wide:]])
    seen = values.cumsum(axis=1) > 0
    kind = np.repeat([SHOP, CATEGORY_KIND, COUNTRY_KIND], [1, len(shop.categories), len(shop.countries)])
    # The shop and the countries are of no category, which has a code of its own.
    none = np.full(len(shop.countries), len(shop.categories))
    category = np.concatenate([none[:1], np.arange(len(shop.categories)), none]) if len(none) else np.zeros(wide, dtype=np.int64)
    prices = shop.prices()
    count = len(shop.products)
    tier = np.searchsorted(np.quantile(prices, np.arange(1, PRICE_TIERS) / PRICE_TIERS), prices)
    static = {
        "kind": np.concatenate([kind, kind, np.full(count, PRODUCT)]),
        "metric": np.repeat([0, 1, 0], [wide, wide, count]),
        "category": np.concatenate([category, category, shop.category]),
        "price": np.concatenate([np.full(2 * wide, PRICE_TIERS), tier]),
    }
    times = (shop.first_day + np.arange(shop.day_count + horizon)).astype("datetime64[s]")
    shut = yearly_rest(shop_rests(units[0]), times)
    panel = Panel(
        names=("", *shop.categories, *shop.countries) * 2 + shop.products,
        times=times,
        values=np.where(seen, values, np.nan),
        shut=np.broadcast_to(shut, (len(values), len(times))),
        known={},
        static=static,
        frequency=Frequency.DAY,
        season=WEEK,
    )
    sold = seen[:, -1] & (shop.day_count - FORGOTTEN_DAYS <= last_sale(values))
    pounds = np.concatenate([np.full(wide, revenue[0].sum() / units[0].sum()), np.ones(wide), prices])
    open_values = np.where(shop_rests(units[0]), np.nan, values)
    return Pyramid(panel, context(panel, groups(open_values, static, len(shop.categories))), chances(values, pounds), sold | ~seen[:, -1])


def groups(values: Numbers, static: Mapping[str, NDArray[np.int64]], categories: int) -> dict[str, Group]:
    """The groups: the whole shop and the categories, in units and in revenue."""
    wide = int((static["kind"] != PRODUCT).sum()) // 2
    metric, category = static["metric"], static["category"]
    shops = values[[0, wide]]
    # In both, the shop stands in for the category of what has none.
    totals = np.concatenate([values[1 : 1 + categories], shops[:1], values[wide + 1 : wide + 1 + categories], shops[1:]])
    return {"total": Group(metric, shops), "category": Group(metric * (categories + 1) + np.minimum(category, categories), totals)}


def chances(values: Numbers, prices: Numbers) -> Numbers:
    """How often each series is learned from, shape (rows,): by the root of what it sold in the last year, in pounds.

    prices: what makes pounds of each row, shape (rows,)
    """
    often: Numbers = np.sqrt(values[:, -FORGOTTEN_DAYS:].sum(axis=1) * prices)
    return often


def shop_rests(units: Numbers) -> Flags:
    """Whether the shop sold nothing on a day, shape of `units` (T,)."""
    rests: Flags = units == 0
    return rests


def last_sale(values: Numbers) -> NDArray[np.int64]:
    """The last day on which each series sold, shape (n,); -1 for never."""
    sold = values > 0
    return np.where(sold.any(axis=1), values.shape[1] - 1 - sold[:, ::-1].argmax(axis=1), -1)


def ratio(above: Numbers, below: Numbers) -> Numbers:
    """The quotient, NaN where there is none."""
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
