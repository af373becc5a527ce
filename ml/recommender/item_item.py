"""Item-item matrices: EASE for small catalogues, and a random walk for large ones."""

import numpy as np
from scipy import linalg, sparse

from ml.recommender.arrays import Floats
from ml.recommender.hyperparameters import RecommenderHyperparameters

# Above this number of products, inverting a products × products matrix costs too much, and the random walk replaces EASE.
EASE_PRODUCTS = 10_000
WALK_POWERS, WALK_BLOCK = (0.7, 0.7, 0.3), 1_000


def fit_item_item(purchases: sparse.csr_array, hyperparameters: RecommenderHyperparameters) -> sparse.csr_array:
    """What a purchase of the row's product adds to the score of the column's. Products × products.

    purchases: binary, customers × products
    """
    if purchases.shape[1] <= EASE_PRODUCTS:
        return ease(purchases, hyperparameters.ease_penalty, hyperparameters.item_neighbours)
    return random_walk(purchases, hyperparameters.item_neighbours)


def ease(purchases: sparse.csr_array, penalty: float, neighbours: int) -> sparse.csr_array:
    """The item-item matrix of EASE (Steck, 2019), cut to the strongest neighbours of each product. Products × products."""
    gram = (purchases.T @ purchases).toarray()
    gram[np.diag_indices_from(gram)] += penalty
    factor, _ = linalg.lapack.spotrf(gram, lower=1, overwrite_a=1)
    inverse, _ = linalg.lapack.spotri(factor, lower=1, overwrite_c=1)
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    weights = inverse / -np.diag(inverse)
    weights[np.diag_indices_from(weights)] = 0
    return _largest_magnitudes(weights, neighbours)


def random_walk(purchases: sparse.csr_array, neighbours: int, powers: tuple[float, float, float] = WALK_POWERS) -> sparse.csr_array:
    """The item-item matrix of RP3beta (Paudel et al., 2017): random steps from product to customer to product. Products × products.

    powers: by which the steps divide by the number of the product's buyers, of the buyer's products, and of the target's buyers
    """
    of_product, of_buyer, of_target = powers
    buyer_count = np.maximum(purchases.sum(axis=0), 1)
    product_count = np.maximum(purchases.sum(axis=1), 1)
    to_customers = sparse.diags_array(buyer_count**-of_product) @ purchases.T
    to_products = sparse.diags_array(product_count**-of_buyer) @ purchases @ sparse.diags_array(buyer_count**-of_target)
    # In blocks, since the whole matrix would not fit into memory before each row is cut to its neighbours.
    blocks = []
    for start in range(0, purchases.shape[1], WALK_BLOCK):
        block = sparse.csr_array(to_customers[start : start + WALK_BLOCK] @ to_products)
        blocks.append(_largest_values(block, start, neighbours))
    return sparse.csr_array(sparse.vstack(blocks)).astype(np.float32)


def _largest_values(block: sparse.csr_array, start: int, count: int) -> sparse.csr_array:
    """Keeps the `count` largest entries of each row off the diagonal; `start` is the product of the block's first row."""
    columns, values, lengths = [], [], []
    for row in range(block.shape[0]):
        entries = slice(block.indptr[row], block.indptr[row + 1])
        others = block.indices[entries] != start + row
        column, value = block.indices[entries][others], block.data[entries][others]
        if len(value) > count:
            largest = np.argpartition(value, -count)[-count:]
            column, value = column[largest], value[largest]
        columns.append(column)
        values.append(value)
        lengths.append(len(value))
    starts = np.concatenate(([0], np.cumsum(lengths)))
    return sparse.csr_array((np.concatenate(values), np.concatenate(columns), starts), shape=block.shape)


def _largest_magnitudes(matrix: Floats, count: int) -> sparse.csr_array:
    """Keeps the `count` entries of each row that are furthest from zero."""
    count = min(count, matrix.shape[1])
    columns = np.sort(np.argpartition(-np.abs(matrix), count - 1, axis=1)[:, :count], axis=1)
    values = np.take_along_axis(matrix, columns, axis=1)
    starts = np.arange(len(matrix) + 1) * count
    return sparse.csr_array((values.ravel(), columns.ravel(), starts), shape=matrix.shape)
