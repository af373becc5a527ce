"""A small shop whose sales are plain to see: a folder of clean data, as the pipeline lays it out."""

import json
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lake.columns import CATEGORY, COUNTRY, DATE, LINES, NAME, PRICE_CENTS, PRODUCT_ID, REVENUE, UNITS

# Quick to learn, and enough for a shop as small as this.
SMALL = {"seed": 1, "rows": 4000, "span": 500, "rounds": 20, "rate": 0.2, "leaves": 7}
# A Monday.
OPENING = date(2010, 1, 4)
# Until a Saturday.
DAYS = 419
PRODUCTS = {"tea": "Drinks", "coffee": "Drinks", "mug": "Dishes", "plate": "Dishes", "bowl": "Dishes"}
PRICES = {"tea": 2.0, "coffee": 3.0, "mug": 5.0, "plate": 4.0, "bowl": 6.0}
COUNTRIES = ("France", "United Kingdom")
# From Monday; on Sundays the shop is shut.
WEEK = (1.5, 1.0, 1.0, 1.0, 1.2, 0.6, 0.0)


def write_shop(folder: Path, sales: pa.Table | None = None) -> Path:
    """Writes the clean data of a shop, of `daily_sales()` unless others are given. Returns the folder."""
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
    """Every product sells to both countries by the week, with some chance; the bowl is new, and has been sold for two months."""
    random = np.random.default_rng(3)
    rows = []
    for day in range(days):
        for place, product in enumerate(PRODUCTS):
            for country, size in zip(COUNTRIES, (4, 12), strict=True):
                units = int(random.poisson(size * (1 + place) * WEEK[day % 7]))
                if units and (product != "bowl" or day >= days - 60):
                    rows.append((product, country, OPENING + timedelta(days=day), units, units * PRICES[product], 1))
    names = (PRODUCT_ID, COUNTRY, DATE, UNITS, REVENUE, LINES)
    types = (pa.string(), pa.string(), pa.date32(), pa.int64(), pa.float64(), pa.int64())
    return pa.table([pa.array(column, kind) for column, kind in zip(zip(*rows, strict=True), types, strict=True)], names=names)
