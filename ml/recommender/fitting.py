"""How the generators are learnt from the events before a cutoff."""

import string
from collections.abc import Mapping, Sequence

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from scipy import linalg, sparse
from scipy.sparse.linalg import svds
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from ml.recommender.customer import decay
from ml.recommender.features import WINDOW, YEAR
from ml.recommender.generators import TASTE_HALF_LIFE, Generators
from ml.recommender.interactions import UNKNOWN, Floats, Ids, Interactions, Ints
from ml.recommender.parameters import Parameters

# Above it the inverse of a products × products matrix costs too much, and the two-step random walk serves.
EASE_PRODUCTS = 10_000
WALK_ALPHA, WALK_BETA, WALK_BLOCK = 0.7, 0.3, 1_000
POPULARITY_HALF_LIFE, COUNTRY_HALF_LIFE, RECENT_HALF_LIFE, ARRIVAL_HALF_LIFE, WELCOME_HALF_LIFE = 7.0, 28.0, 14.0, 14.0, 28.0
# A band of more than this part of all dimensions would let everything pass.
RANK_SHARE = 4
# What was bought before it does not count as bought lately.
RECENT_DAYS = 4 * RECENT_HALF_LIFE
# From so many customers on a country speaks for itself.
COUNTRY_CUSTOMERS = 10


def fitted(history: Interactions, names: Mapping[str, str], cutoff: int, parameters: Parameters) -> Generators:
    """The generators at a cutoff before which the history lies. Products may lack a name."""
    age = (cutoff - history.day).astype(np.float32)
    size = len(history.product_ids)
    once = purchases(history, np.ones_like(age))
    once.data[:] = 1
    tastes = purchases(history, decay(age, TASTE_HALF_LIFE))
    item_item = ease(once, parameters) if size <= EASE_PRODUCTS else random_walk(once, parameters.item_neighbours)
    graph = band(tastes, parameters.graph_dimensions, parameters.seed)
    recent = purchases(history, np.where(age <= RECENT_DAYS, decay(age, RECENT_HALF_LIFE), np.float32(0)))
    recent.eliminate_zeros()
    first_age = np.zeros(size, np.float32)
    np.maximum.at(first_age, history.product, age)
    lately = np.bincount(history.product, decay(age, COUNTRY_HALF_LIFE), size)
    popularity = np.bincount(history.product, decay(age, POPULARITY_HALF_LIFE), size)
    # Entries are in order of customer and day.
    opens = history.day == history.day[history.starts[:-1]][history.customer]
    in_season = (age <= YEAR) & (age > YEAR - WINDOW)
    return Generators(
        item_values=item_item.data,
        item_columns=item_item.indices.astype(np.int32),
        item_starts=item_item.indptr.astype(np.int32),
        graph=graph,
        factors=als(tastes, parameters),
        factors_penalty=np.array(parameters.factors_penalty, np.float32),
        peers=normalize(tastes @ graph).astype(np.float32),
        recent_values=recent.data,
        recent_columns=recent.indices.astype(np.int32),
        recent_starts=recent.indptr.astype(np.int32),
        names=name_vectors([names.get(product, "") for product in history.product_ids.tolist()], parameters),
        family=families(history.product_ids),
        popularity=relative(np.log1p(popularity)),
        country_popularity=relative(np.log1p(by_country(history, decay(age, COUNTRY_HALF_LIFE)))),
        arrival=relative(np.log1p(lately) * decay(first_age, ARRIVAL_HALF_LIFE)),
        welcome=relative(shares(popularity) + shares(np.bincount(history.product[opens], decay(age[opens], WELCOME_HALF_LIFE), size))),
        season=relative(np.log1p(np.bincount(history.product[in_season], minlength=size))),
    )


def purchases(interactions: Interactions, weights: Floats) -> sparse.csr_array:
    """Customers × products, the events' weights summed."""
    shape = len(interactions.customer_numbers), len(interactions.product_ids)
    matrix = sparse.csr_array((weights.astype(np.float32), (interactions.customer, interactions.product)), shape=shape)
    matrix.sum_duplicates()
    return matrix


def ease(once: sparse.csr_array, parameters: Parameters) -> sparse.csr_array:
    """The item-item matrix of EASE (Steck, 2019), the strongest of each row kept. Products × products.

    once: 1 where a customer has bought a product, customers × products
    """
    gram = (once.T @ once).toarray()
    gram[np.diag_indices_from(gram)] += parameters.ease_penalty
    factor, _ = linalg.lapack.spotrf(gram, lower=1, overwrite_a=1)
    inverse, _ = linalg.lapack.spotri(factor, lower=1, overwrite_c=1)
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    weights = inverse / -np.diag(inverse)
    weights[np.diag_indices_from(weights)] = 0
    return strongest(weights, parameters.item_neighbours)


def random_walk(once: sparse.csr_array, neighbours: int) -> sparse.csr_array:
    """The item-item matrix of RP3beta (Paudel et al., 2017): two steps at random, product to customer to product. Products × products.

    once: 1 where a customer has bought a product, customers × products
    """
    buyers = np.maximum(once.sum(axis=0), 1)
    bought = np.maximum(once.sum(axis=1), 1)
    to_customers = sparse.diags_array(buyers**-WALK_ALPHA) @ once.T
    to_products = sparse.diags_array(bought**-WALK_ALPHA) @ once @ sparse.diags_array(buyers**-WALK_BETA)
    # In blocks, since the whole of it would not fit into memory before each row is cut to its strongest.
    rows = []
    for start in range(0, once.shape[1], WALK_BLOCK):
        block = sparse.csr_array(to_customers[start : start + WALK_BLOCK] @ to_products)
        rows.append(heaviest(block, start, neighbours))
    return sparse.csr_array(sparse.vstack(rows)).astype(np.float32)


def heaviest(block: sparse.csr_array, start: int, count: int) -> sparse.csr_array:
    """Of each row the largest entries, as many as given, those on the diagonal left out; the block's first row is this one of all."""
    columns, values, lengths = [], [], []
    for row in range(block.shape[0]):
        entries = slice(block.indptr[row], block.indptr[row + 1])
        others = block.indices[entries] != start + row
        column, value = block.indices[entries][others], block.data[entries][others]
        if len(value) > count:
            kept = np.argpartition(value, -count)[-count:]
            column, value = column[kept], value[kept]
        columns.append(column)
        values.append(value)
        lengths.append(len(value))
    starts = np.concatenate(([0], np.cumsum(lengths)))
    return sparse.csr_array((np.concatenate(values), np.concatenate(columns), starts), shape=block.shape)


def strongest(matrix: Floats, count: int) -> sparse.csr_array:
    """Of each row the entries that are furthest from zero, as many as given."""
    count = min(count, matrix.shape[1])
    columns = np.sort(np.argpartition(-np.abs(matrix), count - 1, axis=1)[:, :count], axis=1)
    values = np.take_along_axis(matrix, columns, axis=1)
    starts = np.arange(len(matrix) + 1) * count
    return sparse.csr_array((values.ravel(), columns.ravel(), starts), shape=matrix.shape)


def band(matrix: sparse.csr_array, dimensions: int, seed: int) -> Floats:
    """The right singular vectors of the largest singular values. Products × dimensions."""
    dimensions = max(min(dimensions, min(matrix.shape) // RANK_SHARE), 1)
    _, _, vectors = svds(matrix, k=dimensions, random_state=seed)
    return np.ascontiguousarray(vectors.T, np.float32)


def als(tastes: sparse.csr_array, parameters: Parameters) -> Floats:
    """The products' factors of implicit ALS (Hu, Koren and Volinsky, 2008). Products × factors."""
    model = AlternatingLeastSquares(
        factors=parameters.factors,
        regularization=parameters.factors_penalty,
        alpha=parameters.factors_weight,
        iterations=parameters.factors_rounds,
        random_state=parameters.seed,
        num_threads=1,
    )
    model.fit(sparse.csr_matrix(tastes), show_progress=False)
    factors: Floats = model.item_factors
    return factors


def name_vectors(names: Sequence[str], parameters: Parameters) -> Floats:
    """A vector of unit length a name, by the words in it; zero where they tell nothing. Products × dimensions."""
    try:
        words = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=2).fit_transform(names)
    except ValueError:
        # There are no words that two names share.
        return np.zeros((len(names), 1), np.float32)
    dimensions = min(parameters.name_dimensions, words.shape[1])
    vectors = TruncatedSVD(dimensions, random_state=parameters.seed).fit_transform(words)
    unit: Floats = normalize(vectors).astype(np.float32)
    return unit


def by_country(history: Interactions, weights: Floats) -> Floats:
    """The events' weights summed, of countries with enough customers. Countries × products."""
    customers = np.bincount(history.country[history.country != UNKNOWN], minlength=len(history.countries))
    country = history.country[history.customer]
    told = country != UNKNOWN
    sums = np.zeros((len(history.countries), len(history.product_ids)), np.float32)
    np.add.at(sums, (country[told], history.product[told]), weights[told])
    sums[customers < COUNTRY_CUSTOMERS] = 0
    return sums


def families(product_ids: Ids) -> Ints:
    """Each product's family: ids that differ only in the letters behind their digits are of one."""
    digits = np.array([str(product).rstrip(string.ascii_uppercase) for product in product_ids])
    return np.unique(digits, return_inverse=True)[1].astype(np.int32)


def shares(counts: np.ndarray) -> np.ndarray:
    """The counts as shares of their sum."""
    return np.asarray(counts / max(counts.sum(), 1e-12))


def relative(scores: Floats) -> Floats:
    """The scores as shares of the best of their row."""
    best = scores.max(axis=-1, keepdims=True, initial=0)
    return (scores / np.where(best > 0, best, 1)).astype(np.float32)
