"""The recommender: what a customer will want next, and why."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from enum import Enum
from functools import cached_property, partial
from pathlib import Path

import lightgbm as lgb
import numpy as np

from ml.recommender.candidates import COUNT, candidates
from ml.recommender.customer import NO_PRODUCTS, NO_WEIGHTS, Customer, Holdings
from ml.recommender.features import FEATURES, features
from ml.recommender.generators import BASKET, COUNTRY, GENERATORS, POPULARITY, Generators, sums
from ml.recommender.interactions import UNKNOWN, Flags, Floats, Ids, Interactions, Ints, day_number, day_of
from ml.recommender.reasons import Reason, ReasonKind, Source, reasons
from ml.registry import artifact
from ml.registry.errors import InvalidArtifact

KIND = "recommender"
# How much what a customer looks at, or has in the basket, tells of their taste beside a purchase of today.
VIEW_WEIGHT, CART_WEIGHT = 0.25, 0.5
# From so many buyers on, they say better than its name what a product is like.
PRODUCT_BUYERS = 10
EXAMPLES, EXAMPLE_LENGTH = 5, 10
# How long a list is if nothing else is said.
LENGTH = 300


class UnknownCustomer(LookupError):
    """No customer of the sales history has this number."""


class UnknownProduct(LookupError):
    """The model has not learnt of a product with this id."""


class Step(Enum):
    """How much was known of the customer when the list was made: the steps of a ladder, the best first."""

    RANKER = "ranker"
    BLEND = "blend"
    BASKET = "basket"
    COUNTRY_POPULARITY = "country popularity"
    POPULARITY = "popularity"


@dataclass(frozen=True)
class Purchase:
    """A product that was bought on a day."""

    product_id: str
    day: date
    quantity: int


@dataclass(frozen=True)
class Request:
    """All that is known of whom to recommend to. Products that the model does not know are passed over."""

    # In the sales history. One that it does not know is as good as none.
    customer_number: str = ""
    # What the sales history does not tell: purchases, and products that were looked at or put into the basket.
    purchases: Sequence[Purchase] = ()
    viewed: Sequence[str] = ()
    carted: Sequence[str] = ()
    # What is in the basket now, and so does not show.
    basket: Sequence[str] = ()
    # As the sales history writes it; where empty, the customer's own.
    country: str = ""
    # Whether products that were bought before may show.
    include_purchased: bool = True


@dataclass(frozen=True)
class Recommendation:
    """A recommended product; the score is comparable within one list only, and does not rise with the rank."""

    product_id: str
    score: float
    reason: Reason


@dataclass(frozen=True)
class Ranking:
    """Products in the order in which they are recommended; each is explained when it is shown."""

    step: Step
    product: Ints
    score: Floats
    product_ids: Ids
    explain: Callable[[Ints], list[Reason]]

    def __len__(self) -> int:
        return len(self.product)

    @property
    def ids(self) -> list[str]:
        """The products' ids."""
        ids: list[str] = self.product_ids[self.product].tolist()
        return ids

    def shown(self, places: Sequence[int]) -> list[Recommendation]:
        """The recommendations at these places, counted from 0."""
        at = np.array(places, np.int32)
        products = self.product[at]
        shown = zip(self.product_ids[products].tolist(), self.score[at].tolist(), self.explain(products), strict=True)
        return [Recommendation(*one) for one in shown]


@dataclass(frozen=True)
class Recommender:
    """A fitted recommender."""

    history: Interactions
    generators: Generators
    # Shape (products, PRODUCT_FEATURES).
    products: Floats
    # How much each generator weighs, shape (GENERATORS,): where products that were bought before may show, and where not.
    weights_all: Floats
    weights_new: Floats
    # Without them, since there were too few days to learn from, the blend serves.
    ranker_all: lgb.Booster | None
    ranker_new: lgb.Booster | None
    # The day after the last that it has learnt from.
    cutoff: date
    facts: Mapping[str, object]

    def recommend(self, request: Request, allowed: Flags | None = None, limit: int = LENGTH) -> Ranking:
        """The best `limit` of the allowed products, or all if there are fewer.

        allowed: whether each product of the model may show, shape (products,); all if unset
        """
        customer = self.customer(request)
        holdings = Holdings.of(customer)
        may_show = self._may_show(allowed, request.basket)
        if not request.include_purchased:
            may_show[holdings.product] = False
        scores = self.generators.scores(customer, holdings)
        if not len(holdings.product):
            return self._of_stranger(customer, scores, self.generators.welcome, may_show, limit)
        weights, ranker = (self.weights_all, self.ranker_all) if request.include_purchased else (self.weights_new, self.ranker_new)
        blend = weights @ scores
        chosen = candidates(blend, may_show, max(limit, COUNT))
        judged, rest = chosen[:COUNT], chosen[COUNT:]
        ranks = blend[judged]
        if ranker is not None and len(judged):
            rows = features(self.generators, self.products, customer, holdings, judged, scores[:, judged], ranks)
            ranks = np.asarray(ranker.predict(rows, num_threads=1), np.float32)
            order = np.argsort(-ranks, kind="stable")
            judged, ranks = judged[order], ranks[order]
        return Ranking(
            Step.BLEND if ranker is None else Step.RANKER,
            np.concatenate((judged, rest))[:limit],
            np.concatenate((ranks, below(ranks, blend[rest])))[:limit],
            self.history.product_ids,
            partial(self._ranker_reasons, customer, holdings, scores, weights),
        )

    def popular(self, country: str = "", allowed: Flags | None = None, limit: int = LENGTH) -> Ranking:
        """What sells best at present, in a country if there are enough customers in it, and after that everywhere."""
        customer = self.customer(Request(country=country))
        scores = self.generators.scores(customer, Holdings.of(customer))
        return self._of_stranger(customer, scores, self.generators.popularity, self._may_show(allowed, ()), limit)

    def similar(self, product_id: str, allowed: Flags | None = None, limit: int = LENGTH) -> Ranking:
        """Products bought by the same customers, then those of a like name; the other way round if few have bought this one.

        Raises `UnknownProduct`.
        """
        if product_id not in self.product_indices:
            raise UnknownProduct(product_id)
        product = self.product_indices[product_id]
        by_customers = sums(self.generators.item_item, np.array([product], np.int32), np.ones(1, np.float32))
        by_name = self.generators.names @ self.generators.names[product]
        parts = [
            (by_customers, Reason(Source.ITEM_ITEM, ReasonKind.BOUGHT_TOGETHER, (product_id,))),
            (by_name, Reason(Source.NAME, ReasonKind.SIMILAR, (product_id,))),
        ]
        if self.buyers[product] < PRODUCT_BUYERS:
            parts.reverse()
        may_show = self._may_show(allowed, [product_id]) & ((by_customers > 0) | (by_name > 0))
        chosen, scores, part = stacked([scores for scores, _ in parts], may_show, limit)

        def explain(products: Ints) -> list[Reason]:
            return [parts[place][1] for place in part[products]]

        return Ranking(Step.BASKET, chosen, scores, self.history.product_ids, explain)

    def purchases(self, customer_number: str) -> list[Purchase]:
        """What a customer of the sales history has bought, the latest first. Raises `UnknownCustomer`."""
        if customer_number not in self.customer_indices:
            raise UnknownCustomer(customer_number)
        history, index = self.history, self.customer_indices[customer_number]
        events = np.arange(len(history.day))[history.of_customer(index)]
        latest = events[np.lexsort((history.product[events], -history.day[events]))]
        return [
            Purchase(str(history.product_ids[history.product[event]]), day_of(int(history.day[event])), int(history.quantity[event]))
            for event in latest
        ]

    def customer(self, request: Request) -> Customer:
        """Whom a request is for: what the history tells of them, and what it does not tell yet."""
        end = day_number(self.cutoff)
        index = self.customer_indices.get(request.customer_number, UNKNOWN)
        known = NOBODY if index == UNKNOWN else Customer.of(self.history, index, end)
        # A product counts once a day, and all that is later than the history is one day.
        told: dict[tuple[float, int], float] = {}
        in_history = set(zip(known.age.tolist(), known.product.tolist(), strict=True)) if request.purchases else set()
        for purchase in request.purchases:
            if purchase.product_id in self.product_indices:
                event = max(end - day_number(purchase.day), 0), self.product_indices[purchase.product_id]
                if event not in in_history:
                    told[event] = told.get(event, 0) + purchase.quantity
        age = np.append(known.age, np.array([age for age, _ in told], np.float32))
        order = np.argsort(-age, kind="stable")
        interest = np.zeros(self.generators.size, np.float32)
        interest[self.indices(request.viewed)] = VIEW_WEIGHT
        interest[self.indices([*request.carted, *request.basket])] = CART_WEIGHT
        products = np.flatnonzero(interest).astype(np.int32)
        return Customer(
            np.append(known.product, np.array([product for _, product in told], np.int32))[order],
            age[order],
            np.append(known.quantity, np.array(list(told.values()), np.float32))[order],
            products,
            interest[products],
            self.country_indices.get(request.country, known.country),
            index,
        )

    def indices(self, product_ids: Iterable[str]) -> Ints:
        """The places of those products that the model knows."""
        return np.array([self.product_indices[one] for one in product_ids if one in self.product_indices], np.int32)

    @cached_property
    def product_indices(self) -> dict[str, int]:
        """The place of each product."""
        return {product: index for index, product in enumerate(self.history.product_ids.tolist())}

    @cached_property
    def customer_indices(self) -> dict[str, int]:
        """The place of each customer."""
        return {number: index for index, number in enumerate(self.history.customer_numbers.tolist())}

    @cached_property
    def country_indices(self) -> dict[str, int]:
        """The place of each country."""
        return {country: index for index, country in enumerate(self.history.countries.tolist())}

    @cached_property
    def buyers(self) -> Ints:
        """How many customers have bought each product. Shape (products,)."""
        pairs = np.unique(self.history.customer.astype(np.int64) * self.generators.size + self.history.product)
        return np.bincount(pairs % self.generators.size, minlength=self.generators.size).astype(np.int32)

    def save(self, folder: Path) -> None:
        """Writes the model, with some of its answers, as an artifact."""
        arrays = {"products": self.products, "weights_all": self.weights_all, "weights_new": self.weights_new}
        for name, part in (("history", self.history), ("generators", self.generators)):
            arrays |= {f"{name}.{field.name}": getattr(part, field.name) for field in fields(part)}
        boosters = {"ranker_all": self.ranker_all, "ranker_new": self.ranker_new}
        numbers = self.history.customer_numbers[np.linspace(0, len(self.history.customer_numbers) - 1, EXAMPLES, dtype=int)]
        artifact.save(
            folder,
            KIND,
            {
                **self.facts,
                "cutoff": self.cutoff.isoformat(),
                "features": FEATURES,
                "generators": GENERATORS,
                "examples": {number: self._example(number) for number in ["", *numbers.tolist()]},
            },
            arrays=arrays,
            boosters={name: booster for name, booster in boosters.items() if booster is not None},
            tables={},
        )

    @classmethod
    def load(cls, folder: Path) -> "Recommender":
        """The model that was saved to a folder. Raises `InvalidArtifact`."""
        saved = artifact.load(folder, KIND)
        for name, ours in (("features", FEATURES), ("generators", GENERATORS)):
            if tuple(saved.facts.get(name, ())) != ours:
                raise InvalidArtifact(f"{folder} holds a recommender of other {name} than those of this code.")
        history, generators = (
            {field.name: saved.arrays[f"{name}.{field.name}"] for field in fields(part)}
            for name, part in (("history", Interactions), ("generators", Generators))
        )
        return cls(
            Interactions(**history),
            Generators(**generators),
            saved.arrays["products"],
            saved.arrays["weights_all"],
            saved.arrays["weights_new"],
            saved.boosters.get("ranker_all"),
            saved.boosters.get("ranker_new"),
            date.fromisoformat(saved.facts["cutoff"]),
            saved.facts,
        )

    def check(self) -> None:
        """Asks again what was asked when the model was saved. Raises `InvalidArtifact` unless it answers as it did."""
        examples = self.facts.get("examples")
        if not isinstance(examples, Mapping):
            raise InvalidArtifact("The recommender has no examples of its answers to be checked against.")
        for number, answer in examples.items():
            if self._example(number) != answer:
                raise InvalidArtifact(f"The recommender does not answer {f'customer {number}' if number else 'a stranger'} as it did.")

    def _example(self, customer_number: str) -> list[str]:
        return self.recommend(Request(customer_number), limit=EXAMPLE_LENGTH).ids

    def _may_show(self, allowed: Flags | None, not_these: Iterable[str]) -> Flags:
        may_show = np.ones(self.generators.size, bool) if allowed is None else allowed.copy()
        may_show[self.indices(not_these)] = False
        return may_show

    def _of_stranger(self, customer: Customer, scores: Floats, everywhere: Floats, may_show: Flags, limit: int) -> Ranking:
        """Without purchases: by what is known, best first, and after that what sells everywhere, by these scores."""
        steps = [(Step.BASKET, BASKET, scores[BASKET]), (Step.COUNTRY_POPULARITY, COUNTRY, scores[COUNTRY])]
        steps = [*(step for step in steps if step[2].any()), (Step.POPULARITY, POPULARITY, everywhere)]
        chosen, ranks, part = stacked([scores for _, _, scores in steps], may_show, limit)
        proposers = np.array([generator for _, generator, _ in steps])[part]
        return Ranking(steps[0][0], chosen, ranks, self.history.product_ids, partial(self._stranger_reasons, customer, proposers))

    def _ranker_reasons(self, customer: Customer, holdings: Holdings, scores: Floats, weights: Floats, products: Ints) -> list[Reason]:
        # What speaks for a product is what it has above products at large.
        shown = scores[:, products]
        surplus = np.where(shown > 0, weights[:, None] * (shown - scores.mean(axis=1, keepdims=True)), -np.inf)
        return reasons(self.generators, self.history.product_ids, customer, holdings, products, surplus.argmax(axis=0))

    def _stranger_reasons(self, customer: Customer, proposers: Ints, products: Ints) -> list[Reason]:
        return reasons(self.generators, self.history.product_ids, customer, Holdings.of(customer), products, proposers[products])


NOBODY = Customer(NO_PRODUCTS, NO_WEIGHTS, NO_WEIGHTS, NO_PRODUCTS, NO_WEIGHTS)


def stacked(parts: Sequence[Floats], may_show: Flags, limit: int) -> tuple[Ints, Floats, Ints]:
    """Products by the first of several scores that is above zero for them: all of the first, then all of the second, and so on.

    parts: scores, shape (products,) each. The last one takes whatever is left, whatever its score
    Returns the products, best first, their scores, and of every product which part it is of.
    """
    part = np.full(len(may_show), len(parts) - 1, np.int32)
    for place in reversed(range(len(parts) - 1)):
        part[parts[place] > 0] = place
    chosen, ranks = NO_PRODUCTS, NO_WEIGHTS
    for place, scores in enumerate(parts):
        more = candidates(scores, may_show & (part == place), limit - len(chosen)) if limit > len(chosen) else NO_PRODUCTS
        chosen, ranks = np.append(chosen, more), np.append(ranks, below(ranks, scores[more]))
    return chosen, ranks, part


def below(ranks: Floats, more: Floats) -> Floats:
    """More scores in falling order, moved so that none of them is above the last of the ranks."""
    if not len(ranks) or not len(more):
        return more
    moved: Floats = np.minimum(more - (more[0] - ranks[-1]), ranks[-1]) if more[0] > ranks[-1] else more
    return moved
