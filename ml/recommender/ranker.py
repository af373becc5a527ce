"""How the blend and the rankers are learnt: from windows of days before the cutoff and what was bought in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import lightgbm as lgb
import numpy as np
import pyarrow as pa
from scipy.optimize import minimize
from scipy.special import expit

from ml.recommender.candidates import candidates
from ml.recommender.customer import Customer, Holdings
from ml.recommender.features import FEATURES, WINDOW, YEAR, features, product_features
from ml.recommender.fitting import fitted
from ml.recommender.generators import GENERATORS, Generators
from ml.recommender.interactions import Flags, Floats, Interactions, Ints, before, day_of
from ml.recommender.parameters import Parameters

# Candidates that nobody has bought for so long tell nothing of how to rank; a window needs as many days before it.
HISTORY_DAYS = 2 * WINDOW
# To each customer the blend sees as many products that were not bought, and they weigh as much, those that were weighing 1.
BLEND_OTHERS, BLEND_BALANCE = 500, 10.0
# Which of LightGBM's two was better on the validation window.
REPEATS_OBJECTIVE, NEW_OBJECTIVE = "lambdarank", "rank_xendcg"


@dataclass(frozen=True)
class Window:
    """What was known before a window's first day, and what was bought in it."""

    cutoff: int
    history: Interactions
    generators: Generators
    products: Floats
    # By customer, in their order: the products of the history that were bought, at least one.
    bought: dict[int, Ints]

    @classmethod
    def of(cls, table: pa.Table, names: Mapping[str, str], cutoff: int, parameters: Parameters) -> "Window":
        """The window of `WINDOW` days from a cutoff on, in a table with the columns of `INTERACTIONS`."""
        history = Interactions.of(before(table, day_of(cutoff)))
        later = Interactions.of(table).since(cutoff, cutoff + WINDOW)
        place = {str(product): index for index, product in enumerate(history.product_ids)}
        bought = {}
        for index, number in enumerate(history.customer_numbers):
            products = [place[product] for product in later.get(str(number), ()) if product in place]
            if products:
                bought[index] = np.array(products, np.int32)
        generators = fitted(history, names, cutoff, parameters)
        return cls(cutoff, history, generators, product_features(history, cutoff), bought)

    def query(self, index: int, allow_purchased: bool) -> "Query":
        """A customer of `bought` at the cutoff; of new products only, unless what was purchased before is allowed."""
        customer = Customer.of(self.history, index, self.cutoff)
        holdings = Holdings.of(customer)
        allowed = np.ones(self.generators.size, bool)
        allowed[holdings.product] = allow_purchased
        bought = self.bought[index]
        return Query(customer, holdings, allowed, bought[allowed[bought]], self.generators.scores(customer, holdings))


@dataclass(frozen=True)
class Query:
    """A customer at a cutoff, the products that may show, those that were bought afterwards, and the generators' scores."""

    customer: Customer
    holdings: Holdings
    allowed: Flags
    bought: Ints
    scores: Floats


def windows(table: pa.Table, names: Mapping[str, str], cutoff: int, parameters: Parameters) -> list[Window]:
    """The windows to learn from: those that end with the cutoff one after the other, and the same weeks of last year.

    What lies at the cutoff or later is not looked at. A window is left out if there are not `HISTORY_DAYS` before it, or nobody
    bought in it.
    """
    table = before(table, day_of(cutoff))
    starts = [cutoff - WINDOW * number for number in range(1, parameters.windows + 1)] + [cutoff - YEAR] * parameters.last_year
    first = Interactions.of(table).day.min(initial=cutoff)
    found = [Window.of(table, names, start, parameters) for start in starts if start - first >= HISTORY_DAYS]
    return [window for window in found if window.bought]


def blend(learnt_from: Sequence[Window], allow_purchased: bool, parameters: Parameters) -> Floats:
    """How much each generator's score weighs, shape (GENERATORS,), none less than nothing: a logistic regression on who bought what.

    With no window to learn from, all weigh alike.
    """
    if not learnt_from:
        return np.ones(len(GENERATORS), np.float32)
    random = np.random.default_rng(parameters.seed)
    rows, labels, weights = [], [], []
    for window in learnt_from:
        for index in random.permutation(list(window.bought))[: parameters.blend_customers]:
            query = window.query(index, allow_purchased)
            others = np.setdiff1d(np.flatnonzero(query.allowed), query.bought)
            others = random.choice(others, min(BLEND_OTHERS, len(others)), replace=False)
            for products, label, share in ((query.bought, 1.0, 1.0), (others, 0.0, BLEND_BALANCE)):
                rows.append(query.scores[:, products].T.astype(float))
                labels.append(np.full(len(products), label))
                weights.append(np.full(len(products), share / max(len(products), 1)))
    scores, bought, weight = np.vstack(rows), np.concatenate(labels), np.concatenate(weights)
    weight /= weight.sum()

    def loss(point: np.ndarray) -> tuple[float, np.ndarray]:
        margin = scores @ point[1:] + point[0]
        error = weight * (expit(margin) - bought)
        return float(weight @ (np.logaddexp(0, margin) - bought * margin)), np.append(error.sum(), error @ scores)

    bounds = [(None, None)] + [(0, None)] * len(GENERATORS)
    fit = minimize(loss, np.zeros(len(GENERATORS) + 1), jac=True, method="L-BFGS-B", bounds=bounds)
    learnt: Floats = fit.x[1:].astype(np.float32)
    return learnt


def ranker(learnt_from: Sequence[Window], weights: Floats, allow_purchased: bool, parameters: Parameters) -> lgb.Booster | None:
    """A LightGBM model that ranks, one query per customer and window, on the candidates that these weights of the generators choose.

    None if nobody bought any of theirs.
    """
    random = np.random.default_rng(parameters.seed)
    rows, labels, sizes = [], [], []
    for window in learnt_from:
        for index in window.bought:
            query = window.query(index, allow_purchased)
            scores = weights @ query.scores
            chosen = candidates(scores, query.allowed)
            was_bought = np.isin(chosen, query.bought)
            if not was_bought.any():
                continue
            judged = features(
                window.generators, window.products, query.customer, query.holdings, chosen, query.scores[:, chosen], scores[chosen]
            )
            others = np.flatnonzero(~was_bought)
            others = random.choice(others, min(parameters.negatives, len(others)), replace=False)
            kept = np.sort(np.concatenate((np.flatnonzero(was_bought), others)))
            rows.append(judged[kept])
            labels.append(was_bought[kept])
            sizes.append(len(kept))
    if not rows:
        return None
    data = lgb.Dataset(np.vstack(rows), np.concatenate(labels).astype(np.float32), group=sizes, feature_name=list(FEATURES))
    return lgb.train(
        {
            "objective": REPEATS_OBJECTIVE if allow_purchased else NEW_OBJECTIVE,
            "lambdarank_truncation_level": 40,
            "num_leaves": parameters.leaves,
            "learning_rate": parameters.learning_rate,
            "min_data_in_leaf": 200,
            "feature_fraction": 0.5,
            "bagging_fraction": 0.8,
            "bagging_freq": 1,
            "lambda_l2": 5.0,
            "seed": parameters.seed,
            # The same data and seed give the same trees, on however many cores.
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": 1,
            "verbosity": -1,
        },
        data,
        parameters.trees,
    )
