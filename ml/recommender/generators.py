"""Candidate generators: each scores every product for a customer."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import linalg, sparse

from ml.recommender.arrays import UNKNOWN, Floats, Ints
from ml.recommender.customer import Customer
from ml.recommender.matrices import weighted_row_sum

# The generators, in the order of their rows.
GENERATORS = ("own_purchases", "item_item", "basket", "graph", "factors", "peers", "popularity", "country", "arrival", "season", "name")
OWN_PURCHASES, ITEM_ITEM, BASKET, GRAPH, FACTORS, PEERS, POPULARITY, COUNTRY, ARRIVAL, SEASON, NAME = range(len(GENERATORS))

OWN_HALF_LIFE = 180.0
TASTE_HALF_LIFE = 60.0
# The number of most similar customers whose recent purchases are recommended.
PEER_COUNT = 100


@dataclass(frozen=True)
class Generators:
    """The fitted parameters of all generators."""

    item_values: Floats
    """Sparse products × products: what a purchase of the row's product adds to the score of the column's."""
    item_columns: Ints
    item_starts: Ints
    graph: Floats
    """Products × dimensions, orthonormal columns: the low-pass band of the graph filter."""
    factors: Floats
    """Products × factors of implicit ALS."""
    factors_penalty: Floats
    peers: Floats
    """Customers × dimensions, of unit length."""
    recent_values: Floats
    """Sparse customers × products: recent purchases, decayed."""
    recent_columns: Ints
    recent_starts: Ints
    names: Floats
    """Products × dimensions, of unit length, close for names that share words; zero without a name."""
    family: Ints
    """Index of each product's family: products whose ids begin with the same digits."""
    popularity: Floats
    """Shape (products,), like those below relative to the best: at most 1."""
    country_popularity: Floats
    """Shape (countries, products)."""
    arrival: Floats
    season: Floats
    cold_start: Floats
    """Popularity, one half of it in first baskets: the scores for a customer of whom nothing is known."""

    @property
    def size(self) -> int:
        """The number of products."""
        return len(self.popularity)

    @cached_property
    def item_item(self) -> sparse.csr_array:
        """Products × products: what a purchase of the row's product adds to the score of the column's."""
        return sparse.csr_array((self.item_values, self.item_columns, self.item_starts), shape=(self.size, self.size))

    @cached_property
    def recent(self) -> sparse.csr_array:
        """Customers × products: recent purchases, decayed."""
        return sparse.csr_array((self.recent_values, self.recent_columns, self.recent_starts), shape=(len(self.peers), self.size))

    @cached_property
    def gram(self) -> Floats:
        """The part of the normal equations of ALS that is the same for all customers. Shape (factors, factors)."""
        gram: Floats = self.factors.T @ self.factors
        gram[np.diag_indices_from(gram)] += self.factors_penalty
        return gram

    def scores(self, customer: Customer) -> Floats:
        """The score of every product by every generator, relative to each generator's best. Shape (generators, products)."""
        scores = np.zeros((len(GENERATORS), self.size), np.float32)
        scores[POPULARITY] = self.popularity
        scores[ARRIVAL] = self.arrival
        scores[SEASON] = self.season
        if customer.country != UNKNOWN:
            scores[COUNTRY] = self.country_popularity[customer.country]
        products, weights = taste(customer)
        if len(products):
            scores[OWN_PURCHASES, customer.purchased.product] = np.log1p(customer.purchased.weights(OWN_HALF_LIFE))
            scores[ITEM_ITEM] = weighted_row_sum(self.item_item, products, weights)
            band = weights @ self.graph[products]
            scores[GRAPH] = self.graph @ band
            normal = self._normal_matrix(products, weights)
            folded_in = linalg.solve(normal, weights @ self.factors[products], assume_a="pos", check_finite=False)
            scores[FACTORS] = self.factors @ folded_in
            scores[PEERS] = weighted_row_sum(self.recent, *self._nearest_customers(band, customer.index))
            scores[NAME] = self.names @ (weights @ self.names[products])
        context, context_weights = current_context(customer)
        if len(context):
            scores[BASKET] = weighted_row_sum(self.item_item, context, context_weights)
        best = scores.max(axis=1, keepdims=True)
        scores /= np.where(best > 0, best, 1)
        return scores

    def contributions(self, generator: int, chosen: Ints, customer: Customer) -> tuple[Ints, Floats]:
        """What each of the customer's products adds to a generator's scores of the chosen products, up to one scale.

        generator: ITEM_ITEM, BASKET, GRAPH, FACTORS, PEERS or NAME
        Returns the customer's products, shape (products,), and the contributions, shape (products, chosen).
        """
        products, weights = current_context(customer) if generator == BASKET else taste(customer)
        parts: np.ndarray
        if generator in (ITEM_ITEM, BASKET):
            parts = self.item_item[products][:, chosen].toarray()
        elif generator == GRAPH:
            parts = self.graph[products] @ self.graph[chosen].T
        elif generator == FACTORS:
            # The fold-in depends on all products together; given it, each adds its own part (section 5 of the paper).
            inverse: Floats = linalg.inv(self._normal_matrix(products, weights), check_finite=False)
            parts = self.factors[products] @ inverse @ self.factors[chosen].T
        elif generator == PEERS:
            nearest, similarity = self._nearest_customers(weights @ self.graph[products], customer.index)
            similar = nearest[similarity > 0]
            recent: Floats = self.peers[similar].T @ self.recent[similar][:, chosen].toarray()
            parts = self.graph[products] @ recent
        else:
            parts = self.names[products] @ self.names[chosen].T
        return products, (weights[:, None] * parts).astype(np.float32)

    def _normal_matrix(self, products: Ints, weights: Floats) -> Floats:
        """The matrix of the normal equations that fold a customer into ALS (Hu, Koren and Volinsky, 2008). Shape (factors, factors)."""
        own = self.factors[products]
        return np.asarray(self.gram + (own * (weights - 1)[:, None]).T @ own, np.float32)

    def _nearest_customers(self, band: Floats, index: int) -> tuple[Ints, Floats]:
        """The PEER_COUNT most similar other customers, and their similarities, at least 0."""
        similarity = self.peers @ band
        if index != UNKNOWN:
            similarity[index] = 0
        count = min(PEER_COUNT, len(similarity))
        nearest = np.argpartition(similarity, -count)[-count:].astype(np.int32)
        return nearest, np.maximum(similarity[nearest], 0)


def taste(customer: Customer) -> tuple[Ints, Floats]:
    """The products that show a customer's taste, with their weights: decayed purchases plus interests."""
    purchased, weights = customer.purchased.product, customer.purchased.weights(TASTE_HALF_LIFE)
    if not len(customer.interest):
        return purchased, weights
    products, index = np.unique(np.concatenate((purchased, customer.interest)), return_inverse=True)
    return products, np.bincount(index, np.concatenate((weights, customer.interest_weight))).astype(np.float32)


def current_context(customer: Customer) -> tuple[Ints, Floats]:
    """The products that a customer views or has in the basket, or else the last basket, with their weights."""
    purchased = customer.purchased
    if len(customer.interest) or not len(purchased.product):
        return customer.interest, customer.interest_weight
    last = purchased.product[purchased.last_age == purchased.last_age.min()]
    return last, np.ones(len(last), np.float32)
