"""Reasons: why a product is recommended, by what its score came from."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import numpy as np

from ml.recommender.customer import Customer, Holdings
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
from ml.recommender.interactions import Ids, Ints

# As many products a reason names at the most.
NAMED = 2


class Source(Enum):
    """What proposed a product."""

    OWN_PURCHASES = "own purchases"
    ITEM_ITEM = "item-item"
    LATENT_FACTORS = "latent factors"
    POPULARITY = "popularity"
    NEW_ARRIVAL = "new arrival"
    SEASON = "season"
    NAME = "name"


class ReasonKind(Enum):
    """What kind of reason is given, and how it reads."""

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
    """A reason, and the products that it names, the one that weighs most first."""

    source: Source
    kind: ReasonKind
    product_ids: tuple[str, ...] = ()

    def text(self, name: Callable[[str], str]) -> str:
        """The reason as a sentence; `name` says what a product is called."""
        return self.kind.value.format(" and ".join(map(name, self.product_ids)))


# Those that need no other product to be explained.
PLAIN = {
    OWN_PURCHASES: Reason(Source.OWN_PURCHASES, ReasonKind.BOUGHT_BEFORE),
    POPULARITY: Reason(Source.POPULARITY, ReasonKind.POPULAR),
    COUNTRY: Reason(Source.POPULARITY, ReasonKind.POPULAR_IN_COUNTRY),
    ARRIVAL: Reason(Source.NEW_ARRIVAL, ReasonKind.NEW_ARRIVAL),
    SEASON: Reason(Source.SEASON, ReasonKind.SEASON),
}
SOURCES = {
    ITEM_ITEM: Source.ITEM_ITEM,
    BASKET: Source.ITEM_ITEM,
    GRAPH: Source.LATENT_FACTORS,
    FACTORS: Source.LATENT_FACTORS,
    PEERS: Source.LATENT_FACTORS,
    NAME: Source.NAME,
}


def reasons(
    generators: Generators, product_ids: Ids, customer: Customer, holdings: Holdings, chosen: Ints, proposers: Ints
) -> list[Reason]:
    """Why each of the chosen products is recommended.

    chosen: product indices; proposers: the generator that speaks for each, its score above zero. Both of shape (chosen,)
    """
    found = [PLAIN.get(int(proposer)) for proposer in proposers]
    for generator in SOURCES:
        places = np.flatnonzero(proposers == generator)
        if len(places):
            products, shares = generators.shares(generator, chosen[places], customer, holdings)
            for place, column in zip(places, shares.T, strict=True):
                found[place] = because(generator, product_ids, holdings, int(chosen[place]), products, column)
    return [reason for reason in found if reason is not None]


def because(generator: int, product_ids: Ids, holdings: Holdings, product: int, products: Ints, shares: np.ndarray) -> Reason:
    """The reason that names the products whose shares are the largest."""
    order = products[np.argsort(-shares)[: np.count_nonzero(shares > 0)]]
    was_bought = np.isin(order, holdings.product)
    if order[0] == product and was_bought[0]:
        return Reason(SOURCES[generator], ReasonKind.BOUGHT_BEFORE)
    # Products of the one kind or the other, so that the sentence is true of all that it names.
    named = tuple(str(product_ids[one]) for one in order[was_bought == was_bought[0]] if one != product)[:NAMED]
    if generator == NAME and named:
        return Reason(Source.NAME, ReasonKind.SIMILAR, named)
    if was_bought[0]:
        return Reason(SOURCES[generator], ReasonKind.BECAUSE_YOU_BOUGHT, named)
    return Reason(SOURCES[generator], ReasonKind.BECAUSE_OF_BASKET, named or (str(product_ids[product]),))
