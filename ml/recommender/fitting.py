"""Fitting of the candidate generators on a purchase history."""

import string
from collections.abc import Mapping, Sequence

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from scipy import sparse
from scipy.sparse.linalg import svds
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from ml.recommender.arrays import UNKNOWN, Floats, Ids, Ints
from ml.recommender.customer import decay
from ml.recommender.features import WINDOW, YEAR
from ml.recommender.generators import TASTE_HALF_LIFE, Generators
from ml.recommender.history import PurchaseHistory
from ml.recommender.hyperparameters import RecommenderHyperparameters
from ml.recommender.item_item import fit_item_item
from ml.recommender.matrices import binary_purchase_matrix, purchase_matrix

# In days.
POPULARITY_HALF_LIFE, COUNTRY_HALF_LIFE, RECENT_HALF_LIFE, ARRIVAL_HALF_LIFE, FIRST_BASKET_HALF_LIFE = 7.0, 28.0, 14.0, 14.0, 28.0
# A graph filter with more than this part of all dimensions would pass everything.
RANK_SHARE = 4
# Older purchases are not recent.
RECENT_DAYS = 4 * RECENT_HALF_LIFE
# Fewer customers are too few for the popularity in their country.
COUNTRY_CUSTOMERS = 10


def fit_generators(
    history: PurchaseHistory, names: Mapping[str, str], cutoff: int, hyperparameters: RecommenderHyperparameters
) -> Generators:
    """The generators at a cutoff.

    history: ends before the cutoff
    names: by product id; products may lack a name
    """
    age = ages(history, cutoff)
    shape = len(history.customer_numbers), len(history.product_ids)
    taste = purchase_matrix(history.customer, history.product, decay(age, TASTE_HALF_LIFE), shape)
    item_item = fit_item_item(binary_purchase_matrix(history.customer, history.product, shape), hyperparameters)
    graph = graph_filter(taste, hyperparameters.graph_dimensions, hyperparameters.seed)
    recent_weights = np.where(age <= RECENT_DAYS, decay(age, RECENT_HALF_LIFE), np.float32(0))
    recent = purchase_matrix(history.customer, history.product, recent_weights, shape)
    recent.eliminate_zeros()
    return Generators(
        item_values=item_item.data,
        item_columns=item_item.indices.astype(np.int32),
        item_starts=item_item.indptr.astype(np.int32),
        graph=graph,
        factors=als_factors(taste, hyperparameters),
        factors_penalty=np.array(hyperparameters.factors_penalty, np.float32),
        peers=normalize(taste @ graph).astype(np.float32),
        recent_values=recent.data,
        recent_columns=recent.indices.astype(np.int32),
        recent_starts=recent.indptr.astype(np.int32),
        names=name_vectors([names.get(product, "") for product in history.product_ids.tolist()], hyperparameters),
        family=product_families(history.product_ids),
        popularity=_relative(np.log1p(_product_sums(history, decay(age, POPULARITY_HALF_LIFE)))),
        country_popularity=_relative(np.log1p(country_sums(history, decay(age, COUNTRY_HALF_LIFE)))),
        arrival=arrival_scores(history, age),
        cold_start=cold_start_scores(history, age),
        season=season_scores(history, age),
    )


def ages(history: PurchaseHistory, cutoff: int) -> Floats:
    """The days from each entry to the cutoff, of which those since the last entry count at most WINDOW. Shape (entries,).

    Where nobody bought anything for long, all purchases would otherwise weigh next to nothing, and none more than another.
    """
    age = cutoff - history.day
    silence = max(int(age.min()) - WINDOW, 0) if len(age) else 0
    return (age - silence).astype(np.float32)


def graph_filter(matrix: sparse.csr_array, dimensions: int, seed: int) -> Floats:
    """The right singular vectors of the largest singular values. Products × dimensions."""
    dimensions = max(min(dimensions, min(matrix.shape) // RANK_SHARE), 1)
    _, _, vectors = svds(matrix, k=dimensions, random_state=seed)
    return np.ascontiguousarray(vectors.T, np.float32)


def als_factors(taste: sparse.csr_array, hyperparameters: RecommenderHyperparameters) -> Floats:
    """The product factors of implicit ALS (Hu, Koren and Volinsky, 2008). Products × factors.

    taste: decayed purchases, customers × products
    """
    model = AlternatingLeastSquares(
        factors=hyperparameters.factors,
        regularization=hyperparameters.factors_penalty,
        alpha=hyperparameters.factors_weight,
        iterations=hyperparameters.factors_rounds,
        random_state=hyperparameters.seed,
        num_threads=1,
    )
    model.fit(sparse.csr_matrix(taste), show_progress=False)
    factors: Floats = model.item_factors
    return factors


def name_vectors(names: Sequence[str], hyperparameters: RecommenderHyperparameters) -> Floats:
    """A vector of unit length for each name, by its words; zero for a name that shares none with another. Products × dimensions."""
    try:
        words = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=2).fit_transform(names)
    except ValueError:
        # No two names share a word.
        return np.zeros((len(names), 1), np.float32)
    dimensions = min(hyperparameters.name_dimensions, words.shape[1])
    vectors = TruncatedSVD(dimensions, random_state=hyperparameters.seed).fit_transform(words)
    unit: Floats = normalize(vectors).astype(np.float32)
    return unit


def product_families(product_ids: Ids) -> Ints:
    """The family index of each product: ids that differ only in the letters behind their digits are one family."""
    digits = np.array([str(product).rstrip(string.ascii_uppercase) for product in product_ids])
    return np.unique(digits, return_inverse=True)[1].astype(np.int32)


def country_sums(history: PurchaseHistory, weights: Floats) -> Floats:
    """The sums of the entries' weights, zero for countries with fewer than COUNTRY_CUSTOMERS. Countries × products."""
    customers = np.bincount(history.country[history.country != UNKNOWN], minlength=len(history.countries))
    country = history.country[history.customer]
    has_country = country != UNKNOWN
    sums = np.zeros((len(history.countries), len(history.product_ids)), np.float32)
    weights = weights * repeat_weights(history)
    np.add.at(sums, (country[has_country], history.product[has_country]), weights[has_country])
    sums[customers < COUNTRY_CUSTOMERS] = 0
    return sums


def arrival_scores(history: PurchaseHistory, age: Floats) -> Floats:
    """Popularity, decayed by the days since a product's first sale. Shape (products,)."""
    first_age = np.zeros(len(history.product_ids), np.float32)
    np.maximum.at(first_age, history.product, age)
    recent = _product_sums(history, decay(age, COUNTRY_HALF_LIFE))
    return _relative(np.log1p(recent) * decay(first_age, ARRIVAL_HALF_LIFE))


def cold_start_scores(history: PurchaseHistory, age: Floats) -> Floats:
    """Popularity among all purchases and among first baskets, in equal parts. Shape (products,)."""
    # Entries are sorted by customer and day, so a customer's first entry is of the first day.
    in_first_basket = history.day == history.day[history.starts[:-1]][history.customer]
    # A first basket has each product once.
    first_weights = decay(age[in_first_basket], FIRST_BASKET_HALF_LIFE)
    first_baskets = np.bincount(history.product[in_first_basket], first_weights, len(history.product_ids))
    return _relative(_normalize(_product_sums(history, decay(age, POPULARITY_HALF_LIFE))) + _normalize(first_baskets))


def season_scores(history: PurchaseHistory, age: Floats) -> Floats:
    """Popularity in the window that began one year before the cutoff. Shape (products,)."""
    in_season = (age <= YEAR) & (age > YEAR - WINDOW)
    return _relative(np.log1p(_product_sums(history, in_season.astype(np.float32))))


def repeat_weights(history: PurchaseHistory) -> Floats:
    """The weight of each entry as one of several purchases of a product by the same customer, shape (entries,).

    The n-th last counts 1/n², so that however often one customer buys, that is less than two customers.
    """
    # Entries are sorted by customer and day: a stable sort by customer and product keeps the days in order.
    order = np.lexsort((history.product, history.customer))[::-1]
    customer, product = history.customer[order], history.product[order]
    begins = np.append(True, (customer[1:] != customer[:-1]) | (product[1:] != product[:-1]))
    position = np.arange(len(order))
    number = 1 + position - np.maximum.accumulate(np.where(begins, position, 0))
    weights = np.empty(len(order), np.float32)
    weights[order] = 1 / number**2
    return weights


def _product_sums(history: PurchaseHistory, weights: Floats) -> np.ndarray:
    """The sums of the entries' weights, repeated purchases less. Shape (products,)."""
    return np.bincount(history.product, weights * repeat_weights(history), len(history.product_ids))


def _normalize(counts: np.ndarray) -> np.ndarray:
    """The counts as shares of their sum."""
    return np.asarray(counts / max(counts.sum(), 1e-12))


def _relative(scores: np.ndarray) -> Floats:
    """The scores as shares of the best of their row."""
    best = scores.max(axis=-1, keepdims=True, initial=0)
    return (scores / np.where(best > 0, best, 1)).astype(np.float32)
