"""The columns of the forecaster's data and their types: what Spark writes and training reads.

Types are named as SQL names them. Files are read through the manifest, never by listing a folder.
"""

PRODUCT_ID = "product_id"

COUNTRY = "country"
DATE = "date"
UNITS = "units"
REVENUE = "revenue"
LINES = "lines"

NAME = "name"
CATEGORY = "category"
PRICE_CENTS = "price_cents"

# `clean/daily_sales`: one row per product, country and complete day with a sale; a day without one has no row.
# Sums over it give the series of a product, a country and the whole shop; joined with the products, those of a category.
# Days, not lines, are what a model sees, so the last day of the sales, which may still be under way, is left out.
DAILY_SALES = {
    PRODUCT_ID: "string",
    COUNTRY: "string",
    DATE: "date",
    UNITS: "bigint",
    # In pounds (the shop's currency), not in hundredths: a unit price may have fractions of a penny.
    REVENUE: "double",
    # How many sale lines.
    LINES: "bigint",
}

# `clean/products`, as far as the forecaster reads it: one row per product.
PRODUCTS = {PRODUCT_ID: "string", NAME: "string", CATEGORY: "string", PRICE_CENTS: "int"}
