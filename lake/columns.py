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

RECOMMENDATION_ID = "recommendation_id"
SLOT = "slot"
TIME = "time"
POSITION = "position"
PROPENSITY = "propensity"
CLICK_TIME = "click_time"
PURCHASE_TIME = "purchase_time"

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

EXPOSURES = {
    # Of the list.
    RECOMMENDATION_ID: "string",
    # As in the interactions: the number in the sales history, or else the opaque id of the user or visitor.
    CUSTOMER_NUMBER: "string",
    # Where the list was shown. Empty if the shop did not say.
    SLOT: "string",
    # When the list was made: like the times below, local time of the shop, without a zone.
    TIME: "timestamp_ntz",
    PRODUCT_ID: "string",
    # In the list, from 1.
    POSITION: "int",
    # The probability with which the product took the position.
    PROPENSITY: "double",
    # When the shopper first clicked on the product in this list, viewed it or put it into the basket. Null for never.
    CLICK_TIME: "timestamp_ntz",
    # When the shopper first bought the product because of this list. Null for never.
    PURCHASE_TIME: "timestamp_ntz",
}
"""`clean/exposures`: one row per product of a list that a shopper saw, with what followed from it. A list of which no impression was
reported is missing. A shop without such lists does not have the table."""
