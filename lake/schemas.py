"""The shapes of the data: of the raw files, and of the clean data beside what the models say of it themselves."""

from collections.abc import Mapping
from dataclasses import dataclass

from lake.columns import DAILY_SALES, INTERACTIONS

# Changes whenever the same raw files would give other clean data; then every month is cleaned anew.
SCHEMA_VERSION = 1

INVOICE, STOCK_CODE, DESCRIPTION, QUANTITY = "Invoice", "StockCode", "Description", "Quantity"
INVOICE_DATE, PRICE, CUSTOMER_ID, COUNTRY = "InvoiceDate", "Price", "Customer ID", "Country"
# What the header of a raw file must name, in any order; it may name more.
RAW_COLUMNS = (INVOICE, STOCK_CODE, DESCRIPTION, QUANTITY, INVOICE_DATE, PRICE, CUSTOMER_ID, COUNTRY)

# What a sale line says, as a type of its own each.
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

# One row per sale line.
SALES = {
    **SALE,
    # 1; of lines that say the very same, 2 and on for all but one: real sales, but no news of anybody's taste.
    "copy": "int",
}

# One row per refused line.
REJECTS = {
    "file": "string",
    # As people count, the header being line 1.
    "number": "bigint",
    "reason": "string",
    "line": "string",
}

# One row per product that was ever sold.
PRODUCTS = {
    "product_id": "string",
    # The description that most of its sale lines give.
    "name": "string",
    # By the words of its name: see taxonomy.toml.
    "category": "string",
    # The median unit price of its sale lines in the 90 days up to its last sale.
    "price_cents": "int",
    # Made up, since the sales tell of no stock: what sells in eight weeks, by the median of the weeks in which it sold.
    "stock": "int",
}


@dataclass(frozen=True)
class Table:
    """A table of the lake: its folder, its columns, and the order in which rows are kept, so that what is read together lies together."""

    folder: str
    columns: Mapping[str, str]
    order: tuple[str, ...]


# The tables that are kept by month.
MONTHLY = {
    # Which then is also the order of copies.
    "sales": Table("clean/sales", SALES, tuple(SALE)),
    "interactions": Table("clean/interactions", INTERACTIONS, ("customer_number", "date", "product_id")),
    "daily_sales": Table("clean/daily_sales", DAILY_SALES, ("product_id", "country", "date")),
    "rejects": Table("quarantine/sales", REJECTS, ("file", "number")),
}
TABLES = {**MONTHLY, "products": Table("clean/products", PRODUCTS, ("product_id",))}

# `raw/events`: one JSON object a line, as the recommender lists its events.
EVENTS = {
    "id": "string",
    "kind": "string",
    "product_id": "string",
    "quantity": "int",
    "event_time": "timestamp",
    "user_id": "string",
    "customer_number": "string",
}


def ddl(columns: Mapping[str, str]) -> str:
    """The columns as Spark takes a schema."""
    return ", ".join(f"`{name}` {kind}" for name, kind in columns.items())
