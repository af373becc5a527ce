"""What proposes products: each generator scores every product for a customer."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import linalg, sparse

from ml.recommender.customer import Customer, Holdings
from ml.recommender.interactions import UNKNOWN, Floats, Ints

# The generators, in the order of their rows.
GENERATORS = ("own_purchases", "item_item", "basket", "graph", "factors", "peers", "popularity", "country", "arrival", "season", "name")
OWN_PURCHASES, ITEM_ITEM, BASKET, GRAPH, FACTORS, PEERS, POPULARITY, COUNTRY, ARRIVAL, SEASON, NAME = range(len(GENERATORS))

OWN_HALF_LIFE = 180.0
TASTE_HALF_LIFE = 60.0
# As many of the most similar customers speak for what is bought lately.
PEER_COUNT = 100


@dataclass(frozen=True)
class Generators:
    """What was learnt from all events before a cutoff."""

    # Sparse products × products: what the row's product adds to the score of the column's.
    item_values: Floats
    item_columns: Ints
    item_starts: Ints
    # Products × dimensions, orthonormal columns: the band that the graph filter lets pass.
    graph: Floats
    # Products × factors of implicit ALS, and the penalty of their fit.
    factors: Floats
    factors_penalty: Floats
    # Customers × dimensions, of unit length; and sparse customers × products: what they bought lately.
    peers: Floats
    recent_values: Floats
    recent_columns: Ints
    recent_starts: Ints
    # Products × dimensions, of unit length: names that share words are close. Zero where there is no name.
    names: Floats
    # Products of one family have ids that begin with the same digits.
    family: Ints
    # Shape (products,), of the countries (countries, products); each at most 1.
    popularity: Floats
    country_popularity: Floats
    arrival: Floats
    season: Floats
    # What sells, half of it by what is in first baskets: the best that is known of somebody of whom nothing is known.
    welcome: Floats

    @property
    def size(self) -> int:
        """How many products there are."""
        return len(self.popularity)

    @cached_property
    def item_item(self) -> sparse.csr_array:
        """What the row's product adds to the score of the column's."""
        return sparse.csr_array((self.item_values, self.item_columns, self.item_starts), shape=(self.size, self.size))

    @cached_property
    def recent(self) -> sparse.csr_array:
        """What each customer bought lately."""
        return sparse.csr_array((self.recent_values, self.recent_columns, self.recent_starts), shape=(len(self.peers), self.size))

    @cached_property
    def gram(self) -> Floats:
        """What each fold-in of ALS starts from."""
        gram: Floats = self.factors.T @ self.factors
        gram[np.diag_indices_from(gram)] += self.factors_penalty
        return gram

    def scores(self, customer: Customer, holdings: Holdings) -> Floats:
        """Every generator's score of every product, shape (generators, products), 1 for each generator's best."""
        scores = np.zeros((len(GENERATORS), self.size), np.float32)
        scores[POPULARITY] = self.popularity
        scores[ARRIVAL] = self.arrival
        scores[SEASON] = self.season
        if customer.country != UNKNOWN:
            scores[COUNTRY] = self.country_popularity[customer.country]
        products, weights = taste(customer, holdings)
        if len(products):
            own = np.log1p(holdings.weights(OWN_HALF_LIFE))
            scores[OWN_PURCHASES, holdings.product] = own
            scores[ITEM_ITEM] = sums(self.item_item, products, weights)
            band = weights @ self.graph[products]
            scores[GRAPH] = self.graph @ band
            folded = linalg.solve(self.fold_in(products, weights), weights @ self.factors[products], assume_a="pos", check_finite=False)
            scores[FACTORS] = self.factors @ folded
            scores[PEERS] = sums(self.recent, *self.nearest(band, customer.index))
            scores[NAME] = self.names @ (weights @ self.names[products])
        context, context_weights = in_mind(customer, holdings)
        if len(context):
            scores[BASKET] = sums(self.item_item, context, context_weights)
        best = scores.max(axis=1, keepdims=True)
        scores /= np.where(best > 0, best, 1)
        return scores

    def shares(self, generator: int, chosen: Ints, customer: Customer, holdings: Holdings) -> tuple[Ints, Floats]:
        """What a generator's scores of the chosen products are sums of, up to one scale: products, and what each adds.

        Of ITEM_ITEM, BASKET, GRAPH, FACTORS, PEERS and NAME. Shapes (products,), (products, chosen).
        """
        products, weights = in_mind(customer, holdings) if generator == BASKET else taste(customer, holdings)
        shares: np.ndarray
        if generator in (ITEM_ITEM, BASKET):
            shares = self.item_item[products][:, chosen].toarray()
        elif generator == GRAPH:
            shares = self.graph[products] @ self.graph[chosen].T
        elif generator == FACTORS:
            # Which factors fit depends on all products together; given those, each adds its own part (section 5 of the paper).
            inverse: Floats = linalg.inv(self.fold_in(products, weights), check_finite=False)
            shares = self.factors[products] @ inverse @ self.factors[chosen].T
        elif generator == PEERS:
            nearest, likeness = self.nearest(weights @ self.graph[products], customer.index)
            lately: Floats = self.peers[nearest[likeness > 0]].T @ self.recent[nearest[likeness > 0]][:, chosen].toarray()
            shares = self.graph[products] @ lately
        else:
            shares = self.names[products] @ self.names[chosen].T
        return products, (weights[:, None] * shares).astype(np.float32)

    def fold_in(self, products: Ints, weights: Floats) -> Floats:
        """What the factors of a customer with this taste are solved from (Hu, Koren and Volinsky, 2008). Shape (factors, factors)."""
        own = self.factors[products]
        return np.asarray(self.gram + (own * (weights - 1)[:, None]).T @ own, np.float32)

    def nearest(self, band: Floats, index: int) -> tuple[Ints, Floats]:
        """The most similar of the other customers, and how similar they are."""
        likeness = self.peers @ band
        if index != UNKNOWN:
            likeness[index] = 0
        count = min(PEER_COUNT, len(likeness))
        nearest = np.argpartition(likeness, -count)[-count:].astype(np.int32)
        return nearest, np.maximum(likeness[nearest], 0)


def taste(customer: Customer, holdings: Holdings) -> tuple[Ints, Floats]:
    """The products that tell of a customer's taste, and how much each tells: purchases fade, interest adds."""
    weights = holdings.weights(TASTE_HALF_LIFE)
    if not len(customer.interest):
        return holdings.product, weights
    products = np.concatenate((holdings.product, customer.interest))
    found, place = np.unique(products, return_inverse=True)
    return found, np.bincount(place, np.concatenate((weights, customer.interest_weight))).astype(np.float32)


def in_mind(customer: Customer, holdings: Holdings) -> tuple[Ints, Floats]:
    """What a customer has in mind: what is looked at and in the basket, else the last purchase."""
    if len(customer.interest) or not len(holdings.product):
        return customer.interest, customer.interest_weight
    last = holdings.product[holdings.last_age == holdings.last_age.min()]
    return last, np.ones(len(last), np.float32)


def sums(matrix: sparse.csr_array, rows: Ints, weights: Floats) -> Floats:
    """The weighted sum of some rows of a sparse matrix. Shape (columns,)."""
    # For so few rows, a product of sparse matrices would take three times as long.
    starts, lengths = matrix.indptr[rows], matrix.indptr[rows + 1] - matrix.indptr[rows]
    places = np.repeat(starts - (lengths.cumsum() - lengths), lengths) + np.arange(lengths.sum())
    values = matrix.data[places] * np.repeat(weights, lengths)
    return np.bincount(matrix.indices[places], values, matrix.shape[1]).astype(np.float32)
