"""The recommender: ranks products by what a customer is likely to buy next, with reasons."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import date
from functools import cached_property, partial
from pathlib import Path

import lightgbm as lgb
import numpy as np

from ml.recommender.arrays import UNKNOWN, Flags, Floats, Ints
from ml.recommender.candidates import CANDIDATE_COUNT, select_candidates
from ml.recommender.customer import Customer
from ml.recommender.features import FEATURES, ranker_features
from ml.recommender.generators import BASKET, COUNTRY, GENERATORS, POPULARITY, Generators
from ml.recommender.history import PurchaseHistory, date_of, day_number
from ml.recommender.matrices import weighted_row_sum
from ml.recommender.ranking import FallbackStep, Ranking, rank_by_parts, shift_below
from ml.recommender.reasons import Reason, ReasonKind, Source, explain
from ml.recommender.request import Purchase, RecommendationRequest
from ml.registry import artifact
from ml.registry.errors import InvalidArtifact

KIND = "recommender"
# The fact that says how many lists that were shown the blend has learnt from. Missing for none.
EXPOSED_LISTS = "exposed_lists"
# The weight of a viewed product, and of one in the basket; a purchase of today weighs 1.
VIEW_WEIGHT, CART_WEIGHT = 0.25, 0.5
# With fewer buyers, a product's name says more about similar products than its buyers do.
MIN_BUYERS = 10
EXAMPLES, EXAMPLE_LENGTH = 5, 10
# Processors differ in the last bits of logarithms and sums, so that products of nearly equal scores change places between machines.
MIN_OVERLAP = 0.7
DEFAULT_LIMIT = 300
# Fields with another name in artifacts, which older models have as well.
_ARRAY_NAMES = {"cold_start": "welcome"}


class UnknownCustomer(LookupError):
    """The sales history has no customer with this number."""


class UnknownProduct(LookupError):
    """The model was not fitted on a product with this id."""


@dataclass(frozen=True)
class Recommender:
    """A fitted recommender."""

    history: PurchaseHistory
    generators: Generators
    products: Floats
    """The features of each product, shape (products, PRODUCT_FEATURES)."""
    weights_all: Floats
    """The blend where products that were bought before may be recommended, shape (GENERATORS,)."""
    weights_new: Floats
    """The blend where they may not."""
    ranker_all: lgb.Booster | None
    """None if there were too few days to fit it; then the blend ranks."""
    ranker_new: lgb.Booster | None
    cutoff: date
    """The day after the last one that the model was fitted on."""
    facts: Mapping[str, object]

    def recommend(self, request: RecommendationRequest, allowed: Flags | None = None, limit: int = DEFAULT_LIMIT) -> Ranking:
        """The best `limit` of the allowed products, or all if there are fewer.

        allowed: whether each product of the model may be recommended, shape (products,); by default all
        """
        customer = self.customer(request)
        allowed = self._allow(allowed, request.basket)
        if not request.include_purchased:
            allowed[customer.purchased.product] = False
        scores = self.generators.scores(customer)
        if not len(customer.purchased.product):
            return self._rank_cold_start(customer, scores, self.generators.cold_start, allowed, limit)
        if request.include_purchased:
            return self._rank(customer, scores, self.weights_all, self.ranker_all, allowed, limit)
        return self._rank(customer, scores, self.weights_new, self.ranker_new, allowed, limit)

    def popular(self, country: str = "", allowed: Flags | None = None, limit: int = DEFAULT_LIMIT) -> Ranking:
        """The products that sell best at present, first in a country if it has enough customers, then everywhere."""
        customer = self.customer(RecommendationRequest(country=country))
        scores = self.generators.scores(customer)
        return self._rank_cold_start(customer, scores, self.generators.popularity, self._allow(allowed, ()), limit)

    def similar(self, product_id: str, allowed: Flags | None = None, limit: int = DEFAULT_LIMIT) -> Ranking:
        """Products with the same buyers, then those with a similar name; the other way round for a product with few buyers.

        Raises `UnknownProduct`.
        """
        if product_id not in self.product_indices:
            raise UnknownProduct(product_id)
        product = self.product_indices[product_id]
        by_buyers = weighted_row_sum(self.generators.item_item, np.array([product], np.int32), np.ones(1, np.float32))
        by_name = self.generators.names @ self.generators.names[product]
        parts = [
            (by_buyers, Reason(Source.ITEM_ITEM, ReasonKind.BOUGHT_TOGETHER, (product_id,))),
            (by_name, Reason(Source.NAME, ReasonKind.SIMILAR, (product_id,))),
        ]
        if self.buyers[product] < MIN_BUYERS:
            parts.reverse()
        allowed = self._allow(allowed, [product_id]) & ((by_buyers > 0) | (by_name > 0))
        products, ranked_scores, part = rank_by_parts([scores for scores, _ in parts], allowed, limit)

        def explain_similar(products: Ints) -> list[Reason]:
            return [parts[index][1] for index in part[products]]

        return Ranking(FallbackStep.BASKET, products, ranked_scores, self.history.product_ids, explain_similar)

    def purchases(self, customer_number: str) -> list[Purchase]:
        """The purchases of a customer of the sales history, the latest first. Raises `UnknownCustomer`."""
        if customer_number not in self.customer_indices:
            raise UnknownCustomer(customer_number)
        history, index = self.history, self.customer_indices[customer_number]
        entries = np.arange(len(history.day))[history.entries_of(index)]
        latest = entries[np.lexsort((history.product[entries], -history.day[entries]))]
        return [
            Purchase(str(history.product_ids[history.product[entry]]), date_of(int(history.day[entry])), int(history.quantity[entry]))
            for entry in latest
        ]

    def customer(self, request: RecommendationRequest) -> Customer:
        """The customer of a request: the sales history, and what the request adds to it."""
        index = self.customer_indices.get(request.customer_number, UNKNOWN)
        known = Customer.unknown() if index == UNKNOWN else Customer.from_history(self.history, index, day_number(self.cutoff))
        added = self._added_purchases(request, known)
        age = np.append(known.age, np.array([age for age, _ in added], np.float32))
        order = np.argsort(-age, kind="stable")
        interest = np.zeros(self.generators.size, np.float32)
        interest[self.indices(request.viewed)] = VIEW_WEIGHT
        interest[self.indices([*request.carted, *request.basket])] = CART_WEIGHT
        products = np.flatnonzero(interest).astype(np.int32)
        return Customer(
            np.append(known.product, np.array([product for _, product in added], np.int32))[order],
            age[order],
            np.append(known.quantity, np.array(list(added.values()), np.float32))[order],
            products,
            interest[products],
            self.country_indices.get(request.country, known.country),
            index,
        )

    def indices(self, product_ids: Iterable[str]) -> Ints:
        """The indices of the products that the model knows."""
        return np.array([self.product_indices[one] for one in product_ids if one in self.product_indices], np.int32)

    @cached_property
    def product_indices(self) -> dict[str, int]:
        """The index of each product id."""
        return {product: index for index, product in enumerate(self.history.product_ids.tolist())}

    @cached_property
    def customer_indices(self) -> dict[str, int]:
        """The index of each customer number."""
        return {number: index for index, number in enumerate(self.history.customer_numbers.tolist())}

    @cached_property
    def country_indices(self) -> dict[str, int]:
        """The index of each country."""
        return {country: index for index, country in enumerate(self.history.countries.tolist())}

    @cached_property
    def buyers(self) -> Ints:
        """The number of customers who bought each product. Shape (products,)."""
        pairs = np.unique(self.history.customer.astype(np.int64) * self.generators.size + self.history.product)
        return np.bincount(pairs % self.generators.size, minlength=self.generators.size).astype(np.int32)

    @property
    def exposed_lists(self) -> int:
        """How many lists that were shown the blend has learnt from."""
        return int(str(self.facts.get(EXPOSED_LISTS, 0)))

    def save(self, folder: Path) -> None:
        """Writes the model as an artifact, with example answers for `check`."""
        arrays = {"products": self.products, "weights_all": self.weights_all, "weights_new": self.weights_new}
        for prefix, part in (("history", self.history), ("generators", self.generators)):
            arrays |= {_array_name(prefix, field.name): getattr(part, field.name) for field in fields(part)}
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
        """Reads a model that was saved to a folder. Raises `InvalidArtifact`."""
        saved = artifact.load(folder, KIND)
        for name, expected in (("features", FEATURES), ("generators", GENERATORS)):
            if tuple(saved.facts.get(name, ())) != expected:
                raise InvalidArtifact(f"{folder} holds a recommender of other {name} than those of this code.")
        history, generators = (
            {field.name: saved.arrays[_array_name(prefix, field.name)] for field in fields(part)}
            for prefix, part in (("history", PurchaseHistory), ("generators", Generators))
        )
        return cls(
            PurchaseHistory(**history),
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
        """Compares the answers with the examples saved in the artifact. Raises `InvalidArtifact` if any has too few products in common."""
        examples = self.facts.get("examples")
        if not isinstance(examples, Mapping):
            raise InvalidArtifact("The recommender has no examples of its answers to be checked against.")
        for number, answer in examples.items():
            if len({*self._example(number)} & {*answer}) < MIN_OVERLAP * len(answer):
                customer = f"customer {number}" if number else "an unknown customer"
                raise InvalidArtifact(f"The recommender does not answer {customer} as it did when it was saved.")

    def _rank(self, customer: Customer, scores: Floats, weights: Floats, ranker: lgb.Booster | None, allowed: Flags, limit: int) -> Ranking:
        """Ranks the candidates by the ranker, if there is one, and further products by the blend."""
        blend = weights @ scores
        products = select_candidates(blend, allowed, max(limit, CANDIDATE_COUNT))
        candidates, rest = products[:CANDIDATE_COUNT], products[CANDIDATE_COUNT:]
        ranked_scores = blend[candidates]
        if ranker is not None and len(candidates):
            rows = ranker_features(self.generators, self.products, customer, candidates, scores, blend)
            ranked_scores = np.asarray(ranker.predict(rows, num_threads=1), np.float32)
            order = np.argsort(-ranked_scores, kind="stable")
            candidates, ranked_scores = candidates[order], ranked_scores[order]
        return Ranking(
            FallbackStep.BLEND if ranker is None else FallbackStep.RANKER,
            np.concatenate((candidates, rest))[:limit],
            np.concatenate((ranked_scores, shift_below(ranked_scores, blend[rest])))[:limit],
            self.history.product_ids,
            partial(self._explain_blend, customer, scores, weights),
        )

    def _rank_cold_start(self, customer: Customer, scores: Floats, everywhere: Floats, allowed: Flags, limit: int) -> Ranking:
        """Ranks for a customer without purchases: by interests, by popularity in the country, then by `everywhere`."""
        steps = [(FallbackStep.BASKET, BASKET, scores[BASKET]), (FallbackStep.COUNTRY_POPULARITY, COUNTRY, scores[COUNTRY])]
        steps = [*(step for step in steps if step[2].any()), (FallbackStep.POPULARITY, POPULARITY, everywhere)]
        products, ranked_scores, part = rank_by_parts([scores for _, _, scores in steps], allowed, limit)
        proposers = np.array([generator for _, generator, _ in steps])[part]
        return Ranking(steps[0][0], products, ranked_scores, self.history.product_ids, partial(self._explain, customer, proposers))

    def _explain_blend(self, customer: Customer, scores: Floats, weights: Floats, products: Ints) -> list[Reason]:
        """Explains each product by the generator that raises it most above the average product."""
        own = scores[:, products]
        surplus = np.where(own > 0, weights[:, None] * (own - scores.mean(axis=1, keepdims=True)), -np.inf)
        return explain(self.generators, self.history.product_ids, customer, products, surplus.argmax(axis=0))

    def _explain(self, customer: Customer, proposers: Ints, products: Ints) -> list[Reason]:
        return explain(self.generators, self.history.product_ids, customer, products, proposers[products])

    def _added_purchases(self, request: RecommendationRequest, known: Customer) -> dict[tuple[float, int], float]:
        """The quantity of each purchase of a request that the sales history does not have, by age and product index.

        A product counts once a day, and the cutoff and all later days count as one.
        """
        if not request.purchases:
            return {}
        end = day_number(self.cutoff)
        in_history = set(zip(known.age.tolist(), known.product.tolist(), strict=True))
        added: dict[tuple[float, int], float] = {}
        for purchase in request.purchases:
            if purchase.product_id in self.product_indices:
                key = max(end - day_number(purchase.day), 0), self.product_indices[purchase.product_id]
                if key not in in_history:
                    added[key] = added.get(key, 0) + purchase.quantity
        return added

    def _allow(self, allowed: Flags | None, excluded_ids: Iterable[str]) -> Flags:
        flags = np.ones(self.generators.size, bool) if allowed is None else allowed.copy()
        flags[self.indices(excluded_ids)] = False
        return flags

    def _example(self, customer_number: str) -> list[str]:
        return self.recommend(RecommendationRequest(customer_number), limit=EXAMPLE_LENGTH).ids


def _array_name(prefix: str, field: str) -> str:
    return f"{prefix}.{_ARRAY_NAMES.get(field, field)}"
