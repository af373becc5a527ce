"""What to reorder of each product."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np

from ml.forecaster.arrays import Floats
from ml.forecaster.model import HORIZON, Forecaster
from ml.forecaster.reorder import exceedance
from ml.forecaster.reorder_plan import Plan, Policy, demand_inflation, make_plan
from services.forecaster.reorder_policies import DEFAULT_ID, ReorderTerms, StoredPolicy
from services.forecaster.series import product_indices
from services.forecaster.stock import StockedProduct


class Suggestion(NamedTuple):
    """What to order of a product."""

    product: StockedProduct
    quantity: int
    order_date: date | None
    """None if it is beyond the forecast."""
    cover_days: int
    stockout_probability: float
    on_order: int
    order_up_to_level: int
    expected_demand: float

    @property
    def place(self) -> tuple[float, str]:
        """The position in a list: the most likely to run out first."""
        return (-self.stockout_probability, self.product.id)


def suggest(
    model: Forecaster,
    products: Sequence[StockedProduct],
    policies: Mapping[str, StoredPolicy],
    factors: Floats,
) -> list[Suggestion]:
    """The suggestions for the products that the model has, in the order of their places.

    policies: by product, with the default
    factors: what the units of each product of the model are multiplied by, shape (n, HORIZON)
    """
    indices = product_indices(model.scopes)
    groups = defaultdict[Policy, list[StockedProduct]](list)
    terms = {product.id: policies.get(product.id, policies[DEFAULT_ID]).terms for product in products if product.id in indices}
    for product in products:
        if product.id in terms:
            groups[policy_of(terms[product.id])].append(product)
    found, inflation = list[Suggestion](), demand_inflation(model)
    for policy, members in groups.items():
        own = np.array([indices[product.id] for product in members])
        plan = make_plan(model, own, policy, inflation, factors[own])
        found += _suggest_group(plan, policy, members, [terms[product.id] for product in members], model.through)
    return sorted(found, key=lambda suggestion: suggestion.place)


def policy_of(terms: ReorderTerms) -> Policy:
    """The terms as the model takes them."""
    return Policy(terms.lead_time_days, terms.review_period_days, terms.service_level_percent / 100)


def _suggest_group(
    plan: Plan, policy: Policy, products: Sequence[StockedProduct], terms: Sequence[ReorderTerms], through: date
) -> Iterable[Suggestion]:
    """The suggestions for products of one policy."""
    position = np.array([product.stock + own.on_order_units for product, own in zip(products, terms, strict=True)], dtype=np.float64)
    multiple = np.array([own.order_multiple for own in terms])
    quantity = np.ceil(np.maximum(plan.levels - position, 0) / multiple) * multiple
    cumulative = plan.mean.cumsum(axis=1)
    cover = (cumulative <= position[:, None]).sum(axis=1)
    # The days after which there is still as much as the level, of which the last is followed by the day to order on.
    enough = (cumulative <= (position - plan.levels)[:, None]).sum(axis=1)
    stockout = exceedance(plan.lead_demand, position)
    for index, product in enumerate(products):
        due = through + timedelta(days=1) if quantity[index] else through + timedelta(days=int(enough[index]) + 2)
        yield Suggestion(
            product=product,
            quantity=int(quantity[index]),
            order_date=due if due <= through + timedelta(days=HORIZON) else None,
            cover_days=int(cover[index]),
            stockout_probability=float(stockout[index]),
            on_order=terms[index].on_order_units,
            order_up_to_level=int(plan.levels[index]),
            expected_demand=float(plan.mean[index, : policy.days].sum()),
        )
