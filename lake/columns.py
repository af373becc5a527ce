"""The columns of the clean tables that the models learn from, written by Spark and read by training.

Types are SQL's. The files of a table are those that the manifest names, not all those in its folder.
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
    # Where the customer bought from. Null where only a live event reports the purchase, or the sales do not name countries.
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
    # Sale lines, and live purchases.
    LINES: "bigint",
}
"""`clean/daily_sales`: one row per product, country and complete day with a sale; a day without one has no row. The country of a live
purchase is empty, as in files that name no countries.

Summed, it gives the series of a product, a country or the whole shop; joined with the products, that of a category. The last day of the
sales is left out, since it may be incomplete.
"""

PRODUCTS = {PRODUCT_ID: "string", NAME: "string", CATEGORY: "string", PRICE_CENTS: "int"}
"""The columns of `clean/products` that the models read: one row per product."""
