"""Training windows: what was known at a past cutoff, and what was bought in the days after it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lake.columns import DATE
from ml.recommender.arrays import Flags, Floats, Ints
from ml.recommender.customer import Customer
from ml.recommender.exposures import ExposedList, exposed_lists
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
    """The purchase history before a cutoff, and the purchases and exposures of the WINDOW days from it on."""

    cutoff: int
    history: PurchaseHistory
    generators: Generators
    product_features: Floats
    bought: dict[int, Ints]
    """The products of the history that each customer bought in the window, at least one, in order of the customers' indices."""
    exposed: Sequence[ExposedList] = ()
    """Lists that were shown in the window."""

    @classmethod
    def at(
        cls,
        table: pa.Table,
        names: Mapping[str, str],
        cutoff: int,
        hyperparameters: RecommenderHyperparameters,
        exposures: pa.Table | None = None,
    ) -> "TrainingWindow | None":
        """The window from a cutoff on, of a table with the columns of `lake.columns.INTERACTIONS`; None if there is nothing to learn from.

        exposures: with the columns of `lake.columns.EXPOSURES`
        """
        history = PurchaseHistory.from_table(rows_before(table, date_of(cutoff)))
        later = PurchaseHistory.from_table(table).products_bought(cutoff, cutoff + WINDOW)
        product_indices = {str(product): index for index, product in enumerate(history.product_ids)}
        bought = {}
        for index, number in enumerate(history.customer_numbers):
            products = [product_indices[product] for product in later.get(str(number), ()) if product in product_indices]
            if products:
                bought[index] = np.array(products, np.int32)
        exposed: list[ExposedList] = []
        if exposures is not None:
            since = table.filter(pc.greater_equal(table[DATE], pa.scalar(date_of(cutoff))))
            exposed = exposed_lists(exposures, history, since, cutoff, cutoff + WINDOW)
        if not bought and not exposed:
            return None
        generators = fit_generators(history, names, cutoff, hyperparameters)
        return cls(cutoff, history, generators, product_features(history, cutoff), bought, exposed)

    def query(self, index: int, *, include_purchased: bool) -> RankingQuery:
        """The query of a customer of `bought`; products that were purchased before the window are allowed only if included."""
        customer = Customer.from_history(self.history, index, self.cutoff)
        allowed, bought = self.allow(customer, include_purchased), self.bought[index]
        return RankingQuery(customer, allowed, bought[allowed[bought]], self.generators.scores(customer))

    def allow(self, customer: Customer, include_purchased: bool) -> Flags:
        """Which products may be recommended: those that were purchased before the window only if included. Shape (products,)."""
        allowed = np.ones(self.generators.size, bool)
        allowed[customer.purchased.product] = include_purchased
        return allowed


def training_windows(
    table: pa.Table,
    names: Mapping[str, str],
    cutoff: int,
    hyperparameters: RecommenderHyperparameters,
    exposures: pa.Table | None = None,
) -> list[TrainingWindow]:
    """The consecutive windows that end at the cutoff and, if the recipe says so, the same weeks of last year.

    What happened from the cutoff on is not used. A window without HISTORY_DAYS before it, or without anything to learn from, is left out.
    So are exposures, if all windows together have fewer than the recipe asks for.
    """
    table = rows_before(table, date_of(cutoff))
    last_year = [cutoff - YEAR] if hyperparameters.last_year else []
    cutoffs = [*(cutoff - WINDOW * number for number in range(1, hyperparameters.windows + 1)), *last_year]
    first = PurchaseHistory.from_table(table).day.min(initial=cutoff)
    at = (TrainingWindow.at(table, names, start, hyperparameters, exposures) for start in cutoffs if start - first >= HISTORY_DAYS)
    windows = [window for window in at if window is not None]
    if count_exposed(windows) < hyperparameters.least_exposures:
        return [replace(window, exposed=()) for window in windows if window.bought]
    return windows


def count_exposed(windows: Sequence[TrainingWindow]) -> int:
    """The number of lists that were shown and can be learnt from."""
    return sum(len(window.exposed) for window in windows)
