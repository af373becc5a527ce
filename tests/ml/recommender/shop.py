"""Purchases of small shops whose customers are easy to predict."""

from collections.abc import Iterable
from datetime import date, timedelta

import numpy as np
import pyarrow as pa

from lake.columns import COUNTRY, CUSTOMER_NUMBER, DATE, PRODUCT_ID, QUANTITY
from ml.recommender.hyperparameters import RecommenderHyperparameters
from ml.recommender.train import TrainingData

OPENING = date(2020, 1, 1)
# Quick to fit, and enough for shops as small as these.
SMALL = RecommenderHyperparameters(
    trees=10, leaves=4, graph_dimensions=8, name_dimensions=4, factors=8, factors_rounds=5, ease_penalty=30.0
)

# Customer, product, days since the opening, country.
Sale = tuple[str, str, int, str | None]


def interactions(sales: Iterable[Sale]) -> pa.Table:
    """The clean table of these sales, of one piece each."""
    customers, products, days, countries = zip(*sales, strict=True)
    return pa.table(
        {
            CUSTOMER_NUMBER: pa.array(customers, pa.string()),
            PRODUCT_ID: pa.array(products, pa.string()),
            DATE: pa.array([OPENING + timedelta(days=day) for day in days], pa.date32()),
            COUNTRY: pa.array(countries, pa.string()),
            QUANTITY: pa.array(np.ones(len(customers)), pa.int64()),
        }
    )


def checkerboard(size: int = 24) -> TrainingData:
    """Each customer has bought the products of their own colour, once each, but not the one on the diagonal."""
    squares = [(one, other) for one in range(size) for other in range(size) if one % 2 == other % 2 and one != other]
    return TrainingData(interactions((f"c{one:02}", f"p{other:02}", other % 7, "France") for one, other in squares), {})


def habits(days: int = 150) -> TrainingData:
    """Thirty customers of two tastes, tea and coffee, come about once a week, and mostly buy their favourites.

    Odd customers are French, even ones British. One product, `new`, appears in the last days, and a single customer buys in Malta.
    """
    random = np.random.default_rng(0)
    names = {f"{taste}{number:02}": f"{colour} {taste}" for taste in ("tea", "coffee") for number, colour in enumerate(COLOURS)}
    purchases: dict[tuple[str, str, int], str] = {("malta", "tea00", 20): "Malta"}
    for customer in range(30):
        taste = "tea" if customer % 3 else "coffee"
        favourites = random.choice(len(COLOURS), 4, replace=False)
        for day in range(int(random.integers(7)), days, 7):
            basket = {int(one) for one in random.choice(favourites, 2)} | {int(random.integers(len(COLOURS)))}
            for number in basket:
                purchases[f"{customer:02}", f"{taste}{number:02}", day] = "France" if customer % 2 else "United Kingdom"
            if day > days - 10:
                purchases[f"{customer:02}", "new", day] = "France" if customer % 2 else "United Kingdom"
    return TrainingData(interactions((*key, country) for key, country in purchases.items()), names | {"new": "red mug"})


COLOURS = ("red", "green", "blue", "white", "black", "pink", "brown", "grey", "gold", "silver", "lilac", "amber")
