"""The units sold on each day, as the clean data has them."""

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lake.bucket import Bucket
from lake.columns import CATEGORY, COUNTRY, DATE, PRODUCT_ID, UNITS
from lake.errors import InvalidCleanData, StoreError
from lake.manifest import Manifest
from lake.publishing import read_publication
from lake.reading import read_table
from ml.forecaster.arrays import Floats
from ml.forecaster.forecasts import Scope, ScopeKind

_COLUMNS: dict[ScopeKind, str] = {"category": CATEGORY, "country": COUNTRY, "product": PRODUCT_ID}


class SalesUnavailable(Exception):
    """The clean data cannot be read now. The text is for the operator."""


class DailyUnits:
    """The units of each product and country on the days from `first_date` up to `last_date`."""

    def __init__(self, sales: pa.Table, products: pa.Table, first_date: date, last_date: date) -> None:
        """sales: `clean/daily_sales`; products: `clean/products`"""
        days = sales[DATE].cast(pa.int32())
        origin = (first_date - date(1970, 1, 1)).days
        self._day_count = (last_date - first_date).days + 1
        known = pc.and_(pc.greater_equal(days, origin), pc.less(days, origin + self._day_count))
        self._sales = sales.filter(known)
        self._days = days.filter(known).to_numpy().astype(np.int64) - origin
        place = pc.index_in(self._sales[PRODUCT_ID], value_set=products[PRODUCT_ID].combine_chunks())
        self._sales = self._sales.append_column(CATEGORY, pc.take(products[CATEGORY], place))
        self._first_date = first_date

    def of(self, scopes: tuple[Scope, ...], first_date: date, last_date: date) -> Floats:
        """The units of each series from a day to another, shape (N, days).

        A product that is not among the series counts for its category, its country and the shop.
        """
        totals = np.zeros((len(scopes), self._day_count))
        units = self._sales[UNITS].to_numpy()
        for kind, column in _COLUMNS.items():
            rows = [row for row, scope in enumerate(scopes) if scope.kind == kind]
            places = pc.index_in(self._sales[column], value_set=pa.array([scopes[row].name for row in rows], pa.string()))
            codes = places.fill_null(-1).to_numpy()
            listed = codes >= 0
            np.add.at(totals, (np.array(rows, dtype=np.int64)[codes[listed]], self._days[listed]), units[listed])
        totals[scopes.index(Scope())] = np.bincount(self._days, units, self._day_count)
        offset = (first_date - self._first_date).days
        return totals[:, offset : offset + (last_date - first_date).days + 1]


class CleanSales:
    """The published daily sales. Methods raise `SalesUnavailable`, and block: they are for a thread."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def manifest(self) -> Manifest | None:
        """What is published now; None before the first ETL."""
        try:
            publication = read_publication(self._bucket)
        except (StoreError, ValueError) as error:
            raise SalesUnavailable(str(error)) from error
        return publication.manifest if publication else None

    def read(self, manifest: Manifest, first_date: date) -> DailyUnits:
        """The sales from a day on."""
        try:
            sales = read_table(self._bucket, manifest, "daily_sales", f"{first_date:%Y-%m}")
            products = read_table(self._bucket, manifest, "products")
            return DailyUnits(sales, products, first_date, complete_through(manifest))
        # Data of another release may have other columns, which is no reason to end the service.
        except (StoreError, InvalidCleanData, KeyError, ValueError) as error:
            raise SalesUnavailable(str(error)) from error


def complete_through(manifest: Manifest) -> date:
    """The last day of the daily sales, which leave out the last day of the sales, since that may be incomplete."""
    return manifest.through_date - timedelta(days=1)
