"""The columns of the clean tables that the models learn from: what Spark writes and training reads.

Types are SQL's. Files are read through the manifest, never by listing a folder.
"""

PRODUCT_ID = "product_id"
CUSTOMER_NUMBER = "customer_number"
COUNTRY = "country"
DATE = "date"
QUANTITY = "quantity"

UNITS = "units"
REVENUE = "revenue"
LINES = "lines"

NAME = "name"
CATEGORY = "category"
PRICE_CENTS = "price_cents"

INTERACTIONS = {
    # The number in the sales history; for a live purchase by a user without one, the user's id.
    CUSTOMER_NUMBER: "string",
    PRODUCT_ID: "string",
    DATE: "date",
    # Where the customer bought from. Null where only a live event reports the purchase.
    COUNTRY: "string",
    # Units, exact duplicates of a line counted once.
    QUANTITY: "bigint",
}
"""`clean/interactions`: one row per customer, product and day on which the customer bought the product."""

DAILY_SALES = {
    PRODUCT_ID: "string",
    COUNTRY: "string",
    DATE: "date",
    UNITS: "bigint",
    # In the shop's currency, not in hundredths of it: a unit price may have fractions of a cent.
    REVENUE: "double",
    # Sale lines.
    LINES: "bigint",
}
"""`clean/daily_sales`: one row per product, country and complete day with a sale; a day without one has no row.

Sums over it give the series of a product, a country and the whole shop; joined with the products, those of a category. The last day of
the sales, which may be incomplete, is left out.
"""

PRODUCTS = {PRODUCT_ID: "string", NAME: "string", CATEGORY: "string", PRICE_CENTS: "int"}
"""`clean/products`, as far as the models read it: one row per product."""
