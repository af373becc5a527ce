"""Training windows: what was known at a past cutoff, and what was bought in the days after it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ml.recommender.arrays import Flags, Floats, Ints
from ml.recommender.customer import Customer
from ml.recommender.features import WINDOW, YEAR, product_features
from ml.recommender.fitting import fit_generators
from ml.recommender.generators import Generators
from ml.recommender.history import PurchaseHistory, date_of, rows_before
from ml.recommender.hyperparameters import RecommenderHyperparameters

# The days that must precede a window: a shorter history teaches nothing about ranking.
HISTORY_DAYS = 2 * WINDOW


@dataclass(frozen=True)
class RankingQuery:
    """A customer at a cutoff, the products that may be recommended, those bought in the window, and the generators' scores."""

    customer: Customer
    allowed: Flags
    """Shape (products,)."""
    bought: Ints
    scores: Floats
    """Shape (generators, products)."""


@dataclass(frozen=True)
class TrainingWindow:
    """The purchase history before a cutoff, and the purchases of the WINDOW days from it on."""

    cutoff: int
    history: PurchaseHistory
    generators: Generators
    product_features: Floats
    bought: dict[int, Ints]
    """The products of the history that each customer bought in the window, at least one, in order of the customers' indices."""

    @classmethod
    def at(
        cls, table: pa.Table, names: Mapping[str, str], cutoff: int, hyperparameters: RecommenderHyperparameters
    ) -> "TrainingWindow | None":
        """The window from a cutoff on, of a table with the columns of `lake.columns.INTERACTIONS`; None without purchases in it."""
        history = PurchaseHistory.from_table(rows_before(table, date_of(cutoff)))
        later = PurchaseHistory.from_table(table).products_bought(cutoff, cutoff + WINDOW)
        product_indices = {str(product): index for index, product in enumerate(history.product_ids)}
        bought = {}
        for index, number in enumerate(history.customer_numbers):
            products = [product_indices[product] for product in later.get(str(number), ()) if product in product_indices]
            if products:
                bought[index] = np.array(products, np.int32)
        if not bought:
            return None
        generators = fit_generators(history, names, cutoff, hyperparameters)
        return cls(cutoff, history, generators, product_features(history, cutoff), bought)

    def query(self, index: int, *, include_purchased: bool) -> RankingQuery:
        """The query of a customer of `bought`; products that were purchased before the window are allowed only if included."""
        customer = Customer.from_history(self.history, index, self.cutoff)
        allowed = np.ones(self.generators.size, bool)
        allowed[customer.purchased.product] = include_purchased
        bought = self.bought[index]
        return RankingQuery(customer, allowed, bought[allowed[bought]], self.generators.scores(customer))


def training_windows(
    table: pa.Table, names: Mapping[str, str], cutoff: int, hyperparameters: RecommenderHyperparameters
) -> list[TrainingWindow]:
    """The consecutive windows that end at the cutoff and, if the recipe says so, the same weeks of last year.

    Purchases from the cutoff on are not used. A window without HISTORY_DAYS before it, or without purchases, is left out.
    """
    table = rows_before(table, date_of(cutoff))
    last_year = [cutoff - YEAR] if hyperparameters.last_year else []
    cutoffs = [*(cutoff - WINDOW * number for number in range(1, hyperparameters.windows + 1)), *last_year]
    first = PurchaseHistory.from_table(table).day.min(initial=cutoff)
    found = [TrainingWindow.at(table, names, start, hyperparameters) for start in cutoffs if start - first >= HISTORY_DAYS]
    return [window for window in found if window is not None]
