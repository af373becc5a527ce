"""Sparse matrices of customers and products."""

import numpy as np
from scipy import sparse

from ml.recommender.arrays import Floats, Ints


def purchase_matrix(customer: Ints, product: Ints, weights: Floats, shape: tuple[int, int]) -> sparse.csr_array:
    """Customers × products: the sum of the weights of the entries of each pair.

    customer, product, weights: shape (entries,)
    """
    matrix = sparse.csr_array((weights.astype(np.float32), (customer, product)), shape=shape)
    matrix.sum_duplicates()
    return matrix


def binary_purchase_matrix(customer: Ints, product: Ints, shape: tuple[int, int]) -> sparse.csr_array:
    """Customers × products: 1 where the customer has bought the product."""
    matrix = purchase_matrix(customer, product, np.ones(len(customer), np.float32), shape)
    matrix.data[:] = 1
    return matrix


def weighted_row_sum(matrix: sparse.csr_array, rows: Ints, weights: Floats) -> Floats:
    """The weighted sum of some rows of a sparse matrix. Shape (columns,)."""
    # For so few rows, a product of sparse matrices would take three times as long.
    starts, lengths = matrix.indptr[rows], matrix.indptr[rows + 1] - matrix.indptr[rows]
    entries = np.repeat(starts - (lengths.cumsum() - lengths), lengths) + np.arange(lengths.sum())
    values = matrix.data[entries] * np.repeat(weights, lengths)
    return np.bincount(matrix.indices[entries], values, matrix.shape[1]).astype(np.float32)
