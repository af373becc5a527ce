"""Reasons: why a product is recommended."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import numpy as np

from ml.recommender.arrays import Floats, Ids, Ints
from ml.recommender.customer import Customer
from ml.recommender.generators import (
    ARRIVAL,
    BASKET,
    COUNTRY,
    FACTORS,
    GRAPH,
    ITEM_ITEM,
    NAME,
    OWN_PURCHASES,
    PEERS,
    POPULARITY,
    SEASON,
    Generators,
)

# The most products that a reason names.
MAX_NAMED_PRODUCTS = 2


class Source(Enum):
    """The kind of generator that a recommendation comes from."""

    OWN_PURCHASES = "own purchases"
    ITEM_ITEM = "item-item"
    LATENT_FACTORS = "latent factors"
    POPULARITY = "popularity"
    NEW_ARRIVAL = "new arrival"
    SEASON = "season"
    NAME = "name"


class ReasonKind(Enum):
    """The kind of a reason, with its sentence."""

    BOUGHT_BEFORE = "You bought it before."
    BECAUSE_YOU_BOUGHT = "Because you bought {}."
    BECAUSE_OF_BASKET = "Because of your interest in {}."
    BOUGHT_TOGETHER = "Bought by the same customers as {}."
    POPULAR = "It sells well at present."
    POPULAR_IN_COUNTRY = "It sells well in your country at present."
    NEW_ARRIVAL = "It is new in the shop."
    SEASON = "It sold well in these weeks of last year."
    SIMILAR = "It is like {}."


@dataclass(frozen=True)
class Reason:
    """A reason, and the products that it names, the largest contribution first."""

    source: Source
    kind: ReasonKind
    product_ids: tuple[str, ...] = ()

    def text(self, name: Callable[[str], str]) -> str:
        """The reason as a sentence.

        name: returns the name of a product id
        """
        return self.kind.value.format(" and ".join(map(name, self.product_ids)))


# By generator: the reasons that name no product.
_PLAIN_REASONS = {
    OWN_PURCHASES: Reason(Source.OWN_PURCHASES, ReasonKind.BOUGHT_BEFORE),
    POPULARITY: Reason(Source.POPULARITY, ReasonKind.POPULAR),
    COUNTRY: Reason(Source.POPULARITY, ReasonKind.POPULAR_IN_COUNTRY),
    ARRIVAL: Reason(Source.NEW_ARRIVAL, ReasonKind.NEW_ARRIVAL),
    SEASON: Reason(Source.SEASON, ReasonKind.SEASON),
}
# The generators whose reasons name products.
_SOURCES = {
    ITEM_ITEM: Source.ITEM_ITEM,
    BASKET: Source.ITEM_ITEM,
    GRAPH: Source.LATENT_FACTORS,
    FACTORS: Source.LATENT_FACTORS,
    PEERS: Source.LATENT_FACTORS,
    NAME: Source.NAME,
}


def explain(generators: Generators, product_ids: Ids, customer: Customer, products: Ints, proposers: Ints) -> list[Reason]:
    """The reason for each product.

    products: product indices
    proposers: the generator that each product is recommended for, with a score above zero; both of shape (products,)
    """
    reasons = [_PLAIN_REASONS.get(int(proposer)) for proposer in proposers]
    for generator in _SOURCES:
        places = np.flatnonzero(proposers == generator)
        if len(places):
            contributors, contributions = generators.contributions(generator, products[places], customer)
            for place, column in zip(places, contributions.T, strict=True):
                reasons[place] = _reason_naming_products(generator, product_ids, customer, int(products[place]), contributors, column)
    return [reason for reason in reasons if reason is not None]


def _reason_naming_products(
    generator: int, product_ids: Ids, customer: Customer, product: int, contributors: Ints, contributions: Floats
) -> Reason:
    """The reason that names the products with the largest contributions."""
    order = contributors[np.argsort(-contributions, kind="stable")[: np.count_nonzero(contributions > 0)]]
    was_bought = np.isin(order, customer.purchased.product)
    if order[0] == product and was_bought[0]:
        return Reason(_SOURCES[generator], ReasonKind.BOUGHT_BEFORE)
    # Either only purchases or only interests, so that the sentence is true of all products that it names.
    named = tuple(str(product_ids[one]) for one in order[was_bought == was_bought[0]] if one != product)[:MAX_NAMED_PRODUCTS]
    if generator == NAME and named:
        return Reason(Source.NAME, ReasonKind.SIMILAR, named)
    if was_bought[0]:
        return Reason(_SOURCES[generator], ReasonKind.BECAUSE_YOU_BOUGHT, named)
    return Reason(_SOURCES[generator], ReasonKind.BECAUSE_OF_BASKET, named or (str(product_ids[product]),))
