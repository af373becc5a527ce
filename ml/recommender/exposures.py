"""Exposures: lists that were shown, and what shoppers did with them, as examples for the blend.

What was shown was chosen by a model, and what stands further up is seen more often, so that the examples are biased in two ways:

* The products. Each weighs the inverse of its propensity, at most `MAX_WEIGHT`: Schnabel, Swaminathan, Singh, Chandak, Joachims (2016):
  Recommendations as treatments: debiasing learning and evaluation. ICML 2016. The clipping trades variance for a little bias: Bottou et
  al. (2013): Counterfactual reasoning and learning systems. Journal of Machine Learning Research 14.
* The positions. Each position of a slot has a term of its own in training, which is left out in serving, as in Guo, Yu, Liu, Tang, Zhang
  (2019): PAL: a position-bias aware learning framework for CTR prediction in live recommender systems. RecSys 2019. Here the two are added
  on the scale of the logistic regression, as in Yan, Qin, Zhuang, Wang, Bendersky, Najork (2022): Revisiting two-tower models for unbiased
  learning to rank. SIGIR 2022.

The rankers learn from purchases alone: a ranker fitted on the few products that lists had ordered others badly.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lake.columns import CLICK_TIME, CUSTOMER_NUMBER, POSITION, PRODUCT_ID, PROPENSITY, PURCHASE_TIME, RECOMMENDATION_ID, SLOT, TIME
from ml.recommender.arrays import Floats, Ids, Ints
from ml.recommender.customer import Customer
from ml.recommender.history import PurchaseHistory

# The largest weight of a product, as a multiple of that of one that was shown for certain.
MAX_WEIGHT = 10.0
# What a click is worth, and a purchase.
CLICKED, BOUGHT = 1, 2
# More lists than these of a window would only take time; the last ones are taken.
MAX_LISTS = 3000

_DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class ExposedList:
    """A list as a shopper saw it. The arrays have shape (products,)."""

    customer: Customer
    """The shopper, as they were known when the list was made."""
    products: Ints
    """Indices in the window's history."""
    grades: Ints
    """0, CLICKED or BOUGHT."""
    weights: Floats
    """Clipped inverse propensities."""
    positions: Ids
    """The slot and the position."""


def exposed_lists(table: pa.Table, history: PurchaseHistory, later: pa.Table, cutoff: int, end: int) -> list[ExposedList]:
    """The lists shown from day `cutoff` to the day before `end` from which an order of products can be learnt, earliest first.

    These are lists with a product that was clicked on or bought before `end`, and another one, for a shopper with purchases: others get
    lists that the blend does not order. What happened from `end` on is not used.

    table: with the columns of `lake.columns.EXPOSURES`
    history: before the cutoff
    later: the purchases of the days from the cutoff on, with the columns of `lake.columns.INTERACTIONS`
    """
    shown = _Shown.read(table, history, cutoff, end)
    if shown is None:
        return []
    purchases = _LaterPurchases(PurchaseHistory.from_table(later), shown, history)
    customers = {str(number): index for index, number in enumerate(history.customer_numbers.tolist())}
    lists = []
    for rows in shown.lists():
        grades = shown.grades[rows]
        if not grades.any() or len(grades) < 2:
            continue
        number, time = str(shown.numbers[rows][0]), shown.times[rows][0]
        customer = _customer_at(history, customers.get(number), cutoff, purchases.before(number, time))
        if len(customer.product):
            lists.append(ExposedList(customer, shown.products[rows], grades, shown.weights[rows], shown.positions[rows]))
    return lists[-MAX_LISTS:]


@dataclass(frozen=True)
class _Shown:
    """The products that were shown in a window and are in its history, by list, lists by time. Arrays of shape (products,)."""

    ids: Ids
    numbers: Ids
    times: np.ndarray
    products: Ints
    grades: Ints
    weights: Floats
    positions: Ids
    purchase_times: np.ndarray

    @classmethod
    def read(cls, table: pa.Table, history: PurchaseHistory, cutoff: int, end: int) -> "_Shown | None":
        """None if there are none."""
        first, last = (np.datetime64(day, "D").astype("datetime64[us]") for day in (cutoff, end))
        times, clicks, purchases = (table[name].to_numpy().astype("datetime64[us]") for name in (TIME, CLICK_TIME, PURCHASE_TIME))
        indices = _indices(history.product_ids, table[PRODUCT_ID])
        inside = np.flatnonzero((times >= first) & (times < last) & (indices >= 0))
        ids, places = _texts(table[RECOMMENDATION_ID]), table[POSITION].to_numpy()
        rows = inside[np.lexsort((places[inside], ids[inside], times[inside]))]
        if not len(rows):
            return None
        # A comparison with the time of what never happened, NaT, is false.
        clicked, bought = clicks[rows] < last, purchases[rows] < last
        slots = _texts(table[SLOT])[rows]
        return cls(
            ids[rows],
            _texts(table[CUSTOMER_NUMBER])[rows],
            times[rows],
            indices[rows],
            np.where(bought, BOUGHT, np.where(clicked, CLICKED, 0)).astype(np.int32),
            np.minimum(1 / table[PROPENSITY].to_numpy()[rows], MAX_WEIGHT).astype(np.float32),
            np.char.add(np.char.add(slots, " "), places[rows].astype(np.str_)),
            purchases[rows],
        )

    def lists(self) -> Iterator[slice]:
        """The rows of each list."""
        starts = np.flatnonzero(np.append(True, self.ids[1:] != self.ids[:-1]))
        yield from map(slice, starts.tolist(), [*starts[1:].tolist(), len(self.ids)])


class _LaterPurchases:
    """What customers have bought since a cutoff, and from when on it was known."""

    def __init__(self, later: PurchaseHistory, shown: _Shown, history: PurchaseHistory) -> None:
        """later: purchases from the cutoff on, which have days; those that followed from lists have times besides"""
        indices = {str(product): index for index, product in enumerate(history.product_ids.tolist())}
        self._known: dict[str, list[tuple[np.datetime64, int]]] = {}
        for customer, product, day in zip(later.customer.tolist(), later.product.tolist(), later.day.tolist(), strict=True):
            if (index := indices.get(str(later.product_ids[product]))) is not None:
                end_of_day = np.datetime64(day, "D") + _DAY
                self._known.setdefault(str(later.customer_numbers[customer]), []).append((end_of_day, index))
        for row in np.flatnonzero(~np.isnat(shown.purchase_times)).tolist():
            self._known.setdefault(str(shown.numbers[row]), []).append((shown.purchase_times[row], int(shown.products[row])))

    def before(self, number: str, time: np.datetime64) -> Ints:
        """The indices of the products that a customer was known to have bought when a list was made, each once."""
        return np.array(sorted({product for known_at, product in self._known.get(number, ()) if known_at <= time}), np.int32)


def _customer_at(history: PurchaseHistory, index: int | None, cutoff: int, bought_since: Ints) -> Customer:
    """A customer as the model would know them: by the history, and by purchases since, all of which are of age 0."""
    known = Customer.unknown() if index is None else Customer.from_history(history, index, cutoff)
    return Customer(
        np.append(known.product, bought_since),
        np.append(known.age, np.zeros(len(bought_since), np.float32)),
        np.append(known.quantity, np.ones(len(bought_since), np.float32)),
        known.interest,
        known.interest_weight,
        known.country,
        known.index,
    )


def _indices(product_ids: Ids, column: pa.ChunkedArray) -> Ints:
    """The index of each product among sorted ids, -1 for one that is not among them."""
    wanted = _texts(column)
    found = np.minimum(np.searchsorted(product_ids, wanted), len(product_ids) - 1)
    return np.where(product_ids[found] == wanted, found, -1).astype(np.int32)


def _texts(column: pa.ChunkedArray) -> Ids:
    texts: Ids = column.to_numpy().astype(np.str_)
    return texts
