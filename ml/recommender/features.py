"""The ranker's features, the same in training and in recommending."""

import numpy as np

from ml.recommender.arrays import Flags, Floats, Ints
from ml.recommender.customer import Customer
from ml.recommender.generators import GENERATORS, Generators
from ml.recommender.history import PurchaseHistory

# In days. A year of whole weeks keeps the day of the week.
YEAR, WINDOW = 364, 28
SOON_HALF_LIFE, LATE_HALF_LIFE = 30.0, 180.0
RECENT_DAYS = (3, 7, 14, 28, 56, 91, 182, 365)

PRODUCT_FEATURES = (
    *(f"product_events_{days}" for days in RECENT_DAYS),
    "product_first_buyers_14",
    "product_first_buyers_28",
    "product_newcomers_28",
    "product_trend_7_28",
    "product_trend_28_91",
    "product_age",
    "product_last_age",
    "product_repeat_rate",
    "product_quantity",
    "product_season",
    "product_season_lift",
    "product_season_share",
)
CUSTOMER_FEATURES = (
    "customer_baskets",
    "customer_products",
    "customer_age",
    "customer_last_age",
    "customer_interval",
    "customer_lateness",
    "customer_basket_size",
    "customer_last_basket_size",
    "customer_repeat_rate",
    "customer_last_new_share",
    "customer_baskets_91",
    "customer_events_28",
    "customer_quantity",
    "customer_season",
)
PAIR_FEATURES = (
    "pair_days",
    "pair_first_age",
    "pair_last_age",
    "pair_interval",
    "pair_lateness",
    "pair_share",
    "pair_total",
    "pair_last_quantity",
    "pair_soon",
    "pair_late",
    "pair_in_last_basket",
    "pair_season",
    "pair_name",
    "pair_family",
)
FEATURES = (
    *(f"score_{name}" for name in GENERATORS),
    *(f"rank_{name}" for name in GENERATORS),
    "blend",
    *PAIR_FEATURES,
    *CUSTOMER_FEATURES,
    *PRODUCT_FEATURES,
)


def ranker_features(
    generators: Generators, products: Floats, customer: Customer, candidates: Ints, scores: Floats, blend: Floats
) -> Floats:
    """The features of each candidate, shape (candidates, FEATURES).

    products: the PRODUCT_FEATURES of every product
    candidates: product indices
    scores: the generators' scores of every product, shape (GENERATORS, products)
    blend: the blended scores of every product, shape (products,)
    """
    scores = scores[:, candidates]
    matrix = np.empty((len(FEATURES), len(candidates)), np.float32)
    count = len(GENERATORS)
    matrix[:count] = scores
    # Stable, because processors break ties differently otherwise, and many scores are zero.
    order = np.argsort(-scores, axis=1, kind="stable")
    np.put_along_axis(matrix[count : 2 * count], order, np.arange(len(candidates), dtype=np.float32)[None, :], axis=1)
    matrix[2 * count] = blend[candidates]
    rows = matrix[2 * count + 1 :]
    rows[: len(PAIR_FEATURES)] = pair_features(generators, customer, candidates)
    rows[len(PAIR_FEATURES) : -len(PRODUCT_FEATURES)] = customer_features(customer)[:, None]
    rows[-len(PRODUCT_FEATURES) :] = products[candidates].T
    return matrix.T


def product_features(history: PurchaseHistory, cutoff: int) -> Floats:
    """The features of each product at a cutoff. Shape (products, PRODUCT_FEATURES).

    history: ends before the cutoff
    """
    size = len(history.product_ids)
    age = cutoff - history.day
    events = {days: _entry_counts(history, age <= days) for days in RECENT_DAYS}
    all_events = _entry_counts(history, age > 0)
    first_age, last_age = np.zeros(size, np.int32), np.full(size, np.iinfo(np.int32).max, np.int32)
    np.maximum.at(first_age, history.product, age)
    np.minimum.at(last_age, history.product, age)
    is_first_of_pair, in_first_basket = _is_first_of_pair(history), _in_first_basket(history)
    return np.column_stack(
        (
            *events.values(),
            _entry_counts(history, is_first_of_pair & (age <= 14)),
            _entry_counts(history, is_first_of_pair & (age <= 28)),
            _entry_counts(history, in_first_basket & (age <= 28)),
            (events[7] + 1) / (events[28] / 4 + 1),
            (events[28] + 1) / (events[91] / 3.25 + 1),
            first_age,
            last_age,
            1 - _entry_counts(history, is_first_of_pair) / all_events,
            np.log(np.bincount(history.product, history.quantity, size) / all_events),
            *_season_features(history, age, all_events - events[91]),
        )
    ).astype(np.float32)


def customer_features(customer: Customer) -> Floats:
    """The features of the customer. Shape (CUSTOMER_FEATURES,)."""
    age, purchased = customer.age, customer.purchased
    starts = np.flatnonzero(np.append(True, age[1:] != age[:-1])) if len(age) else np.zeros(0, int)
    visits = age[starts]
    first, last = (visits[0], visits[-1]) if len(visits) else (np.nan, np.nan)
    interval = (first - last) / (len(visits) - 1) if len(visits) > 1 else np.nan
    last_size = int((age == last).sum())
    return np.array(
        (
            len(visits),
            len(purchased.product),
            first,
            last,
            interval,
            last / interval if interval else np.nan,
            len(age) / max(len(visits), 1),
            last_size,
            1 - len(purchased.product) / max(len(age), 1),
            (purchased.first_age == last).sum() / max(last_size, 1),
            (visits <= 91).sum(),
            (age <= 28).sum(),
            np.log1p(customer.quantity).mean() if len(age) else np.nan,
            ((age <= YEAR) & (age > YEAR - WINDOW)).sum(),
        ),
        np.float32,
    )


def pair_features(generators: Generators, customer: Customer, candidates: Ints) -> Floats:
    """The features of the customer and each candidate together. Shape (PAIR_FEATURES, candidates)."""
    values = np.full((len(PAIR_FEATURES), len(candidates)), np.nan, np.float32)
    purchased = customer.purchased
    if not len(purchased.product):
        return values
    index = np.minimum(np.searchsorted(purchased.product, candidates), len(purchased.product) - 1)
    was_bought = np.flatnonzero(purchased.product[index] == candidates)
    own = _purchase_features(customer)
    values[: len(own), was_bought] = own[:, index[was_bought]]
    similarity = generators.names[candidates] @ generators.names[purchased.product].T
    similarity[was_bought, index[was_bought]] = 0
    values[-2] = similarity.max(axis=1)
    values[-1] = np.isin(generators.family[candidates], generators.family[purchased.product])
    return values


def _purchase_features(customer: Customer) -> Floats:
    """The PAIR_FEATURES that describe each purchased product, all but the last two. Shape (features, purchased products)."""
    purchased = customer.purchased
    near_season = (purchased.entry_age <= YEAR + WINDOW // 2) & (purchased.entry_age > YEAR - 3 * WINDOW // 2)
    baskets = len(np.unique(customer.age))
    with np.errstate(divide="ignore", invalid="ignore"):
        interval = (purchased.first_age - purchased.last_age) / (purchased.day_count - 1)
        return np.stack(
            (
                purchased.day_count,
                purchased.first_age,
                purchased.last_age,
                interval,
                purchased.last_age / interval,
                purchased.day_count / baskets,
                np.log1p(purchased.total_quantity),
                np.log1p(purchased.last_quantity),
                purchased.weights(SOON_HALF_LIFE),
                purchased.weights(LATE_HALF_LIFE),
                purchased.last_age == customer.age[-1],
                purchased.sum_entries(near_season.astype(np.float32)),
            )
        )


def _season_features(history: PurchaseHistory, age: Ints, old_events: Floats) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sales in the window that began one year ago: as they are, relative to the weeks before, and as a share of all old sales.

    NaN where the history is shorter than that. Shape (products,) each.
    """
    if age.max(initial=0) <= YEAR:
        unknown = np.full(len(history.product_ids), np.nan, np.float32)
        return unknown, unknown, unknown
    season = _entry_counts(history, (age <= YEAR) & (age > YEAR - WINDOW))
    before_season = _entry_counts(history, (age > YEAR) & (age <= YEAR + 2 * WINDOW))
    return season, (season + 1) / (before_season / 2 + 1), season / np.maximum(old_events, 1)


def _entry_counts(history: PurchaseHistory, included: Flags) -> Floats:
    """The number of included entries of each product. Shape (products,)."""
    return np.bincount(history.product[included], minlength=len(history.product_ids)).astype(np.float32)


def _is_first_of_pair(history: PurchaseHistory) -> Flags:
    """Whether each entry is the customer's first purchase of the product. Shape (entries,)."""
    pair = history.customer.astype(np.int64) * len(history.product_ids) + history.product
    is_first = np.zeros(len(pair), bool)
    # Entries are sorted by customer and day, so a pair's first entry is its earliest.
    is_first[np.unique(pair, return_index=True)[1]] = True
    return is_first


def _in_first_basket(history: PurchaseHistory) -> Flags:
    """Whether each entry is of the customer's first day. Shape (entries,)."""
    first_day = np.full(len(history.customer_numbers), np.iinfo(np.int32).max, np.int32)
    np.minimum.at(first_day, history.customer, history.day)
    in_first_basket: Flags = history.day == first_day[history.customer]
    return in_first_basket
