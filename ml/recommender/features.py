"""The ranker's features: the one definition of every number that it judges a candidate by."""

import numpy as np

from ml.recommender.customer import Customer, Holdings
from ml.recommender.generators import GENERATORS, Generators
from ml.recommender.interactions import Floats, Interactions, Ints

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


def product_features(interactions: Interactions, cutoff: int) -> Floats:
    """What is known of each product at a cutoff before which all interactions lie. Shape (products, PRODUCT_FEATURES)."""
    size = len(interactions.product_ids)
    product = interactions.product
    age = cutoff - interactions.day

    def count(of: np.ndarray) -> Floats:
        return np.bincount(product[of], minlength=size).astype(np.float32)

    pair = interactions.customer.astype(np.int64) * size + product
    # Entries are in order of customer and day, so a pair's first entry is its earliest.
    is_first_of_pair = np.zeros(len(pair), bool)
    is_first_of_pair[np.unique(pair, return_index=True)[1]] = True
    first_day = np.full(len(interactions.customer_numbers), np.iinfo(np.int32).max, np.int32)
    np.minimum.at(first_day, interactions.customer, interactions.day)
    is_first_basket = interactions.day == first_day[interactions.customer]
    first_age, last_age = np.zeros(size, np.int32), np.full(size, np.iinfo(np.int32).max, np.int32)
    np.maximum.at(first_age, product, age)
    np.minimum.at(last_age, product, age)

    events = {days: count(age <= days) for days in RECENT_DAYS}
    all_events = count(age > 0)
    season = count((age <= YEAR) & (age > YEAR - WINDOW))
    before_season = count((age > YEAR) & (age <= YEAR + 2 * WINDOW))
    has_year = age.max(initial=0) > YEAR
    return np.column_stack(
        (
            *events.values(),
            count(is_first_of_pair & (age <= 14)),
            count(is_first_of_pair & (age <= 28)),
            count(is_first_basket & (age <= 28)),
            (events[7] + 1) / (events[28] / 4 + 1),
            (events[28] + 1) / (events[91] / 3.25 + 1),
            first_age,
            last_age,
            1 - count(is_first_of_pair) / all_events,
            np.log(np.bincount(product, interactions.quantity, size) / all_events),
            season if has_year else np.full(size, np.nan),
            (season + 1) / (before_season / 2 + 1) if has_year else np.full(size, np.nan),
            season / np.maximum(all_events - events[91], 1) if has_year else np.full(size, np.nan),
        )
    ).astype(np.float32)


def features(
    generators: Generators, products: Floats, customer: Customer, holdings: Holdings, candidates: Ints, scores: Floats, blend: Floats
) -> Floats:
    """What the ranker judges the candidates by. Shape (candidates, FEATURES).

    products: PRODUCT_FEATURES of every product
    candidates: product indices
    scores: the generators' scores of the candidates, shape (GENERATORS, candidates)
    blend: their blended scores, shape (candidates,)
    """
    matrix = np.empty((len(FEATURES), len(candidates)), np.float32)
    count = len(GENERATORS)
    matrix[:count] = scores
    order = np.argsort(-scores, axis=1)
    np.put_along_axis(matrix[count : 2 * count], order, np.arange(len(candidates), dtype=np.float32)[None, :], axis=1)
    matrix[2 * count] = blend
    rows = matrix[2 * count + 1 :]
    rows[: len(PAIR_FEATURES)] = pair_features(generators, customer, holdings, candidates)
    rows[len(PAIR_FEATURES) : -len(PRODUCT_FEATURES)] = customer_features(customer, holdings)[:, None]
    rows[-len(PRODUCT_FEATURES) :] = products[candidates].T
    return matrix.T


def customer_features(customer: Customer, holdings: Holdings) -> Floats:
    """What is known of the customer. Shape (CUSTOMER_FEATURES,)."""
    age = customer.age
    starts = np.flatnonzero(np.append(True, age[1:] != age[:-1])) if len(age) else np.zeros(0, int)
    visits = age[starts]
    first, last = (visits[0], visits[-1]) if len(visits) else (np.nan, np.nan)
    interval = (first - last) / (len(visits) - 1) if len(visits) > 1 else np.nan
    last_size = int((age == last).sum())
    return np.array(
        (
            len(visits),
            len(holdings.product),
            first,
            last,
            interval,
            last / interval if interval else np.nan,
            len(age) / max(len(visits), 1),
            last_size,
            1 - len(holdings.product) / max(len(age), 1),
            (holdings.first_age == last).sum() / max(last_size, 1),
            (visits <= 91).sum(),
            (age <= 28).sum(),
            np.log1p(customer.quantity).mean() if len(age) else np.nan,
            ((age <= YEAR) & (age > YEAR - WINDOW)).sum(),
        ),
        np.float32,
    )


def pair_features(generators: Generators, customer: Customer, holdings: Holdings, candidates: Ints) -> Floats:
    """What is known of the customer and each candidate together. Shape (PAIR_FEATURES, candidates)."""
    values = np.full((len(PAIR_FEATURES), len(candidates)), np.nan, np.float32)
    if not len(holdings.product):
        return values
    place = np.minimum(np.searchsorted(holdings.product, candidates), len(holdings.product) - 1)
    held = np.flatnonzero(holdings.product[place] == candidates)
    near = (holdings.age <= YEAR + WINDOW // 2) & (holdings.age > YEAR - 3 * WINDOW // 2)
    baskets = len(np.unique(customer.age))
    with np.errstate(divide="ignore", invalid="ignore"):
        interval = (holdings.first_age - holdings.last_age) / (holdings.days - 1)
        own = np.stack(
            (
                holdings.days,
                holdings.first_age,
                holdings.last_age,
                interval,
                holdings.last_age / interval,
                holdings.days / baskets,
                np.log1p(holdings.total),
                np.log1p(holdings.last_quantity),
                holdings.weights(SOON_HALF_LIFE),
                holdings.weights(LATE_HALF_LIFE),
                holdings.last_age == customer.age[-1],
                holdings.summed(near.astype(np.float32)),
            )
        )
    values[: len(own), held] = own[:, place[held]]
    likeness = generators.names[candidates] @ generators.names[holdings.product].T
    likeness[held, place[held]] = 0
    values[-2] = likeness.max(axis=1)
    values[-1] = np.isin(generators.family[candidates], generators.family[holdings.product])
    return values
