"""A small shop with simple sales, as a folder of clean data."""

import json
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lake.columns import CATEGORY, COUNTRY, DATE, LINES, NAME, PRICE_CENTS, PRODUCT_ID, REVENUE, UNITS

# Hyperparameters that are fast and enough for a shop of this size.
SMALL = {"seed": 1, "rows": 4000, "span": 500, "rounds": 20, "rate": 0.2, "leaves": 7}
# The first day, a Monday.
OPENING = date(2010, 1, 4)
# The last day is a Saturday.
DAYS = 419
PRODUCTS = {"tea": "Drinks", "coffee": "Drinks", "mug": "Dishes", "plate": "Dishes", "bowl": "Dishes"}
PRICES = {"tea": 2.0, "coffee": 3.0, "mug": 5.0, "plate": 4.0, "bowl": 6.0}
COUNTRIES = ("France", "United Kingdom")
# Relative sales from Monday to Sunday, when the shop is closed.
WEEK = (1.5, 1.0, 1.0, 1.0, 1.2, 0.6, 0.0)


def write_shop(folder: Path, sales: pa.Table | None = None) -> Path:
    """Writes the clean data of a shop, with `daily_sales()` by default, and returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(daily_sales() if sales is None else sales, folder / "daily_sales.parquet")
    catalogue = {
        PRODUCT_ID: list(PRODUCTS),
        NAME: [f"a {product}" for product in PRODUCTS],
        CATEGORY: list(PRODUCTS.values()),
        PRICE_CENTS: pa.array([round(100 * PRICES[product]) for product in PRODUCTS], pa.int32()),
    }
    pq.write_table(pa.table(catalogue), folder / "products.parquet")
    (folder / "dataset.json").write_text(json.dumps({"sha256": "5a" * 32}))
    return folder


def daily_sales(days: int = DAYS) -> pa.Table:
    """Poisson sales of every product to both countries with a weekly pattern; the bowl has been sold for two months only."""
    random = np.random.default_rng(3)
    rows = []
    for day in range(days):
        for index, product in enumerate(PRODUCTS):
            for country, size in zip(COUNTRIES, (4, 12), strict=True):
                units = int(random.poisson(size * (1 + index) * WEEK[day % 7]))
                if units and (product != "bowl" or day >= days - 60):
                    rows.append((product, country, OPENING + timedelta(days=day), units, units * PRICES[product], 1))
    names = (PRODUCT_ID, COUNTRY, DATE, UNITS, REVENUE, LINES)
    types = (pa.string(), pa.string(), pa.date32(), pa.int64(), pa.float64(), pa.int64())
    return pa.table([pa.array(column, kind) for column, kind in zip(zip(*rows, strict=True), types, strict=True)], names=names)
