"""How the generators are learnt from the events before a cutoff."""

import string
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from implicit.cpu.als import AlternatingLeastSquares
from scipy import linalg, sparse
from scipy.sparse.linalg import svds
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize
from threadpoolctl import threadpool_limits

from ml.recommender.columns import NAME, PRODUCT_ID
from ml.recommender.customer import decay
from ml.recommender.generators import TASTE_HALF_LIFE, Generators
from ml.recommender.interactions import Floats, Ids, Interactions, Ints

# Above it the inverse of a products × products matrix costs too much, and the two-step random walk serves.
EASE_PRODUCTS = 10_000
EASE_PENALTY = 300.0
# What a product's row keeps of the item-item matrix.
ITEM_NEIGHBOURS = 200
GRAPH_DIMENSIONS = 128
FACTORS, FACTORS_PENALTY, FACTORS_WEIGHT, FACTORS_ROUNDS = 128, 1.0, 10.0, 10
NAME_DIMENSIONS = 64
POPULARITY_HALF_LIFE, COUNTRY_HALF_LIFE, RECENT_HALF_LIFE, ARRIVAL_HALF_LIFE = 7.0, 28.0, 14.0, 14.0
YEAR, SEASON_DAYS = 364, 28


def fitted(interactions: Interactions, names: dict[str, str], cutoff: int, seed: int) -> Generators:
    """The generators at a cutoff; the interactions must all lie before it."""
    age = (cutoff - interactions.day).astype(np.float32)
    shape = len(interactions.customer_numbers), len(interactions.product_ids)
    once = purchases(interactions, np.ones_like(age))
    once.data[:] = 1
    tastes = purchases(interactions, decay(age, TASTE_HALF_LIFE))
    item_item = ease(once) if shape[1] <= EASE_PRODUCTS else random_walk(once)
    graph = band(tastes, GRAPH_DIMENSIONS, seed)
    recent = purchases(interactions, np.where(age <= 4 * RECENT_HALF_LIFE, decay(age, RECENT_HALF_LIFE), 0))
    recent.eliminate_zeros()
    countries = np.zeros((len(interactions.countries), shape[1]), np.float32)
    country = interactions.country[interactions.customer]
    np.add.at(countries, (country[country >= 0], interactions.product[country >= 0]), decay(age, COUNTRY_HALF_LIFE)[country >= 0])
    first_age = np.zeros(shape[1], np.float32)
    np.maximum.at(first_age, interactions.product, age)
    popularity = np.bincount(interactions.product, decay(age, POPULARITY_HALF_LIFE), shape[1])
    lately = np.bincount(interactions.product, decay(age, COUNTRY_HALF_LIFE), shape[1])
    last_year = (age <= YEAR) & (age > YEAR - SEASON_DAYS)
    return Generators(
        item_values=item_item.data,
        item_columns=item_item.indices.astype(np.int32),
        item_starts=item_item.indptr.astype(np.int32),
        graph=graph,
        factors=als(tastes, seed),
        factors_penalty=np.array(FACTORS_PENALTY, np.float32),
        peers=normalize(tastes @ graph).astype(np.float32),
        recent_values=recent.data,
        recent_columns=recent.indices.astype(np.int32),
        recent_starts=recent.indptr.astype(np.int32),
        names=name_vectors([names.get(str(product), "") for product in interactions.product_ids], seed),
        family=families(interactions.product_ids),
        popularity=relative(np.log1p(popularity)),
        country_popularity=relative(np.log1p(countries)),
        arrival=relative(np.log1p(lately) * decay(first_age, ARRIVAL_HALF_LIFE)),
        season=relative(np.log1p(np.bincount(interactions.product[last_year], minlength=shape[1]))),
    )


def purchases(interactions: Interactions, weights: Floats) -> sparse.csr_array:
    """Customers × products, the events' weights summed."""
    shape = len(interactions.customer_numbers), len(interactions.product_ids)
    matrix = sparse.csr_array((weights.astype(np.float32), (interactions.customer, interactions.product)), shape=shape)
    matrix.sum_duplicates()
    return matrix


def ease(once: sparse.csr_array) -> sparse.csr_array:
    """The item-item matrix of EASE (Steck, 2019), the strongest of each row kept. Products × products."""
    gram = (once.T @ once).toarray()
    gram[np.diag_indices_from(gram)] += EASE_PENALTY
    factor, _ = linalg.lapack.spotrf(gram, lower=1, overwrite_a=1)
    inverse, _ = linalg.lapack.spotri(factor, lower=1, overwrite_c=1)
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    weights = inverse / -np.diag(inverse)
    weights[np.diag_indices_from(weights)] = 0
    return strongest(weights, ITEM_NEIGHBOURS)


def strongest(matrix: Floats, count: int) -> sparse.csr_array:
    """Of each row the entries that are furthest from zero, as many as given."""
    count = min(count, matrix.shape[1])
    columns = np.sort(np.argpartition(-np.abs(matrix), count - 1, axis=1)[:, :count], axis=1)
    values = np.take_along_axis(matrix, columns, axis=1)
    starts = np.arange(len(matrix) + 1) * count
    return sparse.csr_array((values.ravel(), columns.ravel(), starts), shape=matrix.shape)


def band(matrix: sparse.csr_array, dimensions: int, seed: int) -> Floats:
    """The right singular vectors of the largest singular values. Products × dimensions."""
    dimensions = min(dimensions, min(matrix.shape) - 1)
    _, _, vectors = svds(matrix, k=dimensions, random_state=seed)
    return np.ascontiguousarray(vectors.T, np.float32)


def als(tastes: sparse.csr_array, seed: int) -> Floats:
    """The products' factors of implicit ALS (Hu, Koren and Volinsky, 2008). Products × factors."""
    model = AlternatingLeastSquares(
        factors=FACTORS, regularization=FACTORS_PENALTY, alpha=1, iterations=FACTORS_ROUNDS, random_state=seed, num_threads=1
    )
    model.fit(sparse.csr_matrix(tastes * FACTORS_WEIGHT), show_progress=False)
    return model.item_factors


def name_vectors(names: list[str], seed: int) -> Floats:
    """A vector of unit length a name, by the words in it; zero for an empty one. Products × dimensions."""
    words = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=2).fit_transform(names)
    return normalize(TruncatedSVD(NAME_DIMENSIONS, random_state=seed).fit_transform(words)).astype(np.float32)


def families(product_ids: Ids) -> Ints:
    """Each product's family: ids that differ only in the letters behind their digits are of one."""
    digits = np.array([str(product).rstrip(string.ascii_uppercase) for product in product_ids])
    return np.unique(digits, return_inverse=True)[1].astype(np.int32)


def relative(scores: np.ndarray) -> Floats:
    best = scores.max(axis=-1, keepdims=True)
    return (scores / np.where(best > 0, best, 1)).astype(np.float32)
