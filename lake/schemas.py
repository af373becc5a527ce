"""The columns of the raw files, of the recorded events and of every table of the lake."""

from collections.abc import Mapping
from dataclasses import dataclass

from lake.columns import DAILY_SALES, EXPOSURES, INTERACTIONS

# To be raised whenever the same raw files would give other clean data: every month is then cleaned again.
SCHEMA_VERSION = 1
# To be raised whenever the same raw lines may become other rows of the same columns: every month is then cleaned again, and data whose
# rows stay equal keeps its hash.
CLEANING_VERSION = 4
# The largest quantity that an event of the recommender's contract may have.
MAX_QUANTITY = 1_000_000
# The largest price in pounds that the catalogue's `price_cents` holds.
MAX_PRICE = "21474836.47"

INVOICE, STOCK_CODE, DESCRIPTION, QUANTITY = "Invoice", "StockCode", "Description", "Quantity"
INVOICE_DATE, PRICE, CUSTOMER_ID, COUNTRY = "InvoiceDate", "Price", "Customer ID", "Country"
RAW_COLUMNS = (INVOICE, STOCK_CODE, DESCRIPTION, QUANTITY, INVOICE_DATE, PRICE, CUSTOMER_ID, COUNTRY)
"""The columns that the header of a raw file must name, in any order and among others."""

SALE = {
    # Local time of the shop, without a zone.
    "time": "timestamp_ntz",
    "invoice": "string",
    "product_id": "string",
    "description": "string",
    "quantity": "int",
    # Of one unit, in pounds.
    "price": "decimal(12,4)",
    # Null where the customer is unknown.
    "customer_number": "string",
    "country": "string",
}
"""The typed fields of a sale line."""

SALES = {
    **SALE,
    # Numbers exact duplicates from 1. All of them are real sales, but the recommender learns from the first alone.
    "copy": "int",
}
"""`clean/sales`: one row per sale line."""

REJECTS = {
    "file": "string",
    # The line number in the file; the header is line 1.
    "number": "bigint",
    "reason": "string",
    "line": "string",
    # Null where the line has no date of a sale.
    "date": "date",
}
"""`quarantine/sales`: one row per rejected line."""

PRODUCTS = {
    "product_id": "string",
    # The most frequent description of its sale lines.
    "name": "string",
    # By the words of its name: see spark/taxonomy.toml.
    "category": "string",
    # The median unit price of its sale lines in the 90 days up to its last sale.
    "price_cents": "int",
    # An estimate, since the sales do not report stock: eight times the median units of a week with a sale.
    "stock": "int",
}
"""`clean/products`: one row per product with at least one sale."""

EVENTS = {
    "id": "string",
    "kind": "string",
    "product_id": "string",
    "quantity": "int",
    "event_time": "timestamp",
    "user_id": "string",
    "customer_number": "string",
    # The number of the order of a purchase. Empty or null where it is not known.
    "order_id": "string",
    # Of one unit, as sold. Null where it is not known.
    "unit_price_cents": "int",
    # The list that led to the event. Empty or null where there was none.
    "recommendation_id": "string",
}
"""`raw/events`: one JSON object per line, as the recommender lists its events."""

EXPOSED_LISTS = {
    "recommendation_id": "string",
    "user_id": "string",
    "slot": "string",
    "create_time": "timestamp",
    "products": "array<struct<product_id: string, position: int, propensity: double>>",
}
"""`raw/exposures`: one JSON object per line, as the recommender lists what it has shown."""


@dataclass(frozen=True)
class Table:
    """A table of the lake."""

    folder: str
    columns: Mapping[str, str]
    """SQL types by column."""
    order: tuple[str, ...]
    """The sort order of the rows, so that rows that are read together are stored together."""


MONTHLY = {
    # Sorting by all fields of a sale also orders copies.
    "sales": Table("clean/sales", SALES, tuple(SALE)),
    "interactions": Table("clean/interactions", INTERACTIONS, ("customer_number", "date", "product_id")),
    "daily_sales": Table("clean/daily_sales", DAILY_SALES, ("product_id", "country", "date")),
    "rejects": Table("quarantine/sales", REJECTS, ("file", "number")),
}
"""The tables that are stored by month."""
TABLES = {
    **MONTHLY,
    "products": Table("clean/products", PRODUCTS, ("product_id",)),
    "exposures": Table("clean/exposures", EXPOSURES, ("time", "recommendation_id", "position")),
}


def ddl(columns: Mapping[str, str]) -> str:
    """The columns as a Spark schema in DDL."""
    return ", ".join(f"`{name}` {sql_type}" for name, sql_type in columns.items())
