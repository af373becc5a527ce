"""A shop's daily sales, by product and by country."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lake.columns import CATEGORY, COUNTRY, DATE, PRICE_CENTS, PRODUCT_ID, REVENUE, UNITS
from ml.forecaster.arrays import Booleans, Floats, Integers
from ml.forecaster.forecasts import REVENUE_METRIC, UNITS_METRIC, Metric

# The price of a product is the average of its sales in so many last days.
PRICE_DAYS = 112


@dataclass(frozen=True)
class Shop:
    """The sales of n products in C categories to K countries on T days."""

    first_day: np.datetime64
    products: tuple[str, ...]
    categories: tuple[str, ...]
    countries: tuple[str, ...]
    category: Integers
    """The category of each product, as an index, shape (n,)."""
    list_price: Floats
    """Pounds a unit of each product, shape (n,); used for products without sales."""
    units: Floats
    """Shape (n, T)."""
    revenue: Floats
    """Pounds, shape (n, T)."""
    country_units: Floats
    """Shape (K, T)."""
    country_revenue: Floats
    """Pounds, shape (K, T)."""

    @property
    def day_count(self) -> int:
        """T: the number of days."""
        return int(self.units.shape[1])

    @property
    def aggregate_count(self) -> int:
        """1 + C + K: the number of scopes that are not products."""
        return 1 + len(self.categories) + len(self.countries)

    def before(self, day: int) -> "Shop":
        """The shop as it was known after `day` days: without later sales, and without the products that had never sold."""
        sold: Booleans = np.any(self.units[:, :day] > 0, axis=1)
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

    def prices(self, days: int | None = None) -> Floats:
        """The average price of a unit of each product, in pounds, shape (n,). days: as of the first so many days; by default of all"""
        units, revenue = self.units[:, :days], self.revenue[:, :days]
        recent = slice(-PRICE_DAYS, None)
        lately = _ratio(revenue[:, recent].sum(axis=1), units[:, recent].sum(axis=1))
        overall = _ratio(revenue.sum(axis=1), units.sum(axis=1))
        return np.where(np.isnan(lately), np.where(np.isnan(overall), self.list_price, overall), lately)

    def sales_by_scope(self, metric: Metric) -> Floats:
        """The sales of every scope, shape (1 + C + K + n, T): the shop, categories, countries, products."""
        products, countries = {
            UNITS_METRIC: (self.units, self.country_units),
            REVENUE_METRIC: (self.revenue, self.country_revenue),
        }[metric]
        categories = np.zeros((len(self.categories), self.day_count))
        np.add.at(categories, self.category, products)
        sales = np.concatenate([products.sum(axis=0, keepdims=True), categories, countries, products])
        # Rounded to the precision of the saved model, so that this one computes from the same numbers.
        return sales.astype(np.float32).astype(np.float64)


def read_shop(folder: Path) -> Shop:
    """Reads the shop from a folder of clean data: `daily_sales.parquet` and `products.parquet`."""
    sales = pq.read_table(folder / "daily_sales.parquet", columns=[PRODUCT_ID, COUNTRY, DATE, UNITS, REVENUE])
    catalogue = pq.read_table(folder / "products.parquet", columns=[PRODUCT_ID, CATEGORY, PRICE_CENTS]).sort_by(PRODUCT_ID)
    products, categories = catalogue[PRODUCT_ID].to_pylist(), sorted(set(catalogue[CATEGORY].to_pylist()))
    countries = sorted(pc.unique(sales[COUNTRY]).to_pylist())
    date = sales[DATE].to_numpy().astype("datetime64[D]")
    first_day = date.min()
    day = (date - first_day).astype(np.int64)
    return Shop(
        first_day=first_day,
        products=tuple(products),
        categories=tuple(categories),
        countries=tuple(countries),
        category=pc.index_in(catalogue[CATEGORY], value_set=pa.array(categories)).to_numpy().astype(np.int64),
        list_price=catalogue[PRICE_CENTS].to_numpy() / 100,
        units=_sum_by_day(sales, UNITS, PRODUCT_ID, products, day),
        revenue=_sum_by_day(sales, REVENUE, PRODUCT_ID, products, day),
        country_units=_sum_by_day(sales, UNITS, COUNTRY, countries, day),
        country_revenue=_sum_by_day(sales, REVENUE, COUNTRY, countries, day),
    )


def _sum_by_day(sales: pa.Table, column: str, by: str, names: list[str], day: Integers) -> Floats:
    """The sums of a column by name and day, shape (names, T). day: of each row, as an index"""
    day_count = int(day.max()) + 1
    code = pc.index_in(sales[by], value_set=pa.array(names)).to_numpy()
    sums = np.bincount(code * day_count + day, sales[column].to_numpy(), len(names) * day_count)
    return sums.reshape(len(names), day_count).astype(np.float64)


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    """The quotient, NaN where the denominator is not positive."""
    return np.divide(numerator, denominator, out=np.full_like(numerator, np.nan), where=denominator > 0)
