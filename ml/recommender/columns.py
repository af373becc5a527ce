"""The columns of the recommender's data and their types: what Spark writes and training reads.

Types are named as SQL names them. Files are read through the manifest, never by listing a folder.
"""

PRODUCT_ID = "product_id"

CUSTOMER_NUMBER = "customer_number"
COUNTRY = "country"
DATE = "date"
QUANTITY = "quantity"

NAME = "name"
CATEGORY = "category"
PRICE_CENTS = "price_cents"

# `clean/interactions`: one row per customer, product and day on which the customer bought the product.
INTERACTIONS = {
    # The number in the sales history; of a purchase recorded live by a user without one, the user's id.
    CUSTOMER_NUMBER: "string",
    PRODUCT_ID: "string",
    DATE: "date",
    # Where the customer bought from. Null where only a live event tells of the purchase.
    COUNTRY: "string",
    # How many, exact duplicates of a line counted once.
    QUANTITY: "bigint",
}

# `clean/products`, as far as the recommender reads it: one row per product.
PRODUCTS = {PRODUCT_ID: "string", NAME: "string", CATEGORY: "string", PRICE_CENTS: "int"}
