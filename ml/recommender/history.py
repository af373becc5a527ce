"""The purchase history, as arrays."""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lake.columns import COUNTRY, CUSTOMER_NUMBER, DATE, PRODUCT_ID, QUANTITY
from ml.recommender.arrays import UNKNOWN, Floats, Ids, Ints

EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class PurchaseHistory:
    """One entry per customer, day and product, sorted in this order.

    Days count from 1970-01-01. The ids are sorted, and each of them occurs in an entry, so that equal purchases give equal arrays.
    """

    customer_numbers: Ids
    product_ids: Ids
    countries: Ids
    customer: Ints
    """Index of each entry's customer, shape (entries,)."""
    product: Ints
    """Index of each entry's product, shape (entries,)."""
    day: Ints
    quantity: Floats
    country: Ints
    """Index of each customer's country in their latest entry that has one, or UNKNOWN; shape (customers,)."""

    @classmethod
    def from_table(cls, table: pa.Table) -> "PurchaseHistory":
        """Converts a table with the columns of `lake.columns.INTERACTIONS`; the order of its rows does not matter."""
        customer_numbers, customer = _encode(table[CUSTOMER_NUMBER])
        product_ids, product = _encode(table[PRODUCT_ID])
        countries, event_country = _encode(table[COUNTRY])
        day = table[DATE].cast(pa.date32()).cast(pa.int32()).to_numpy()
        quantity = table[QUANTITY].to_numpy().astype(np.float32)
        order = np.lexsort((product, day, customer))
        customer, product, day, event_country = customer[order], product[order], day[order], event_country[order]
        country = np.full(len(customer_numbers), UNKNOWN, np.int32)
        # Where a customer occurs several times, the last assignment holds.
        country[customer[event_country != UNKNOWN]] = event_country[event_country != UNKNOWN]
        return cls(customer_numbers, product_ids, countries, customer, product, day, quantity[order], country)

    @cached_property
    def starts(self) -> Ints:
        """The first entry of each customer, and the number of entries at the end. Shape (customers + 1,)."""
        return np.searchsorted(self.customer, np.arange(len(self.customer_numbers) + 1)).astype(np.int32)

    def entries_of(self, index: int) -> slice:
        """The entries of a customer."""
        return slice(self.starts[index], self.starts[index + 1])

    def products_bought(self, first: int, end: int) -> dict[str, Ids]:
        """The distinct product ids that each customer bought from day `first` to the day before `end`, by customer number."""
        inside = (self.day >= first) & (self.day < end)
        if not inside.any():
            return {}
        pairs = np.unique(np.column_stack((self.customer[inside], self.product[inside])), axis=0)
        customers, starts = np.unique(pairs[:, 0], return_index=True)
        products = np.split(self.product_ids[pairs[:, 1]], starts[1:])
        return {str(self.customer_numbers[customer]): ids for customer, ids in zip(customers, products, strict=True)}


def rows_before(table: pa.Table, cutoff: date) -> pa.Table:
    """The rows of days before the cutoff."""
    return table.filter(pc.less(table[DATE], pa.scalar(cutoff)))


def day_number(day: date) -> int:
    """The number of days from 1970-01-01 to a date."""
    return (day - EPOCH).days


def date_of(day_number: int) -> date:
    """The date so many days after 1970-01-01."""
    return EPOCH + timedelta(days=day_number)


def _encode(column: pa.ChunkedArray) -> tuple[Ids, Ints]:
    """The sorted distinct values of a text column, and each row's index among them, UNKNOWN for null."""
    dictionary = column.cast(pa.string()).combine_chunks().dictionary_encode()
    values = dictionary.dictionary.to_numpy(zero_copy_only=False).astype(np.str_)
    order = np.argsort(values)
    indices = np.empty(len(values) + 1, np.int32)
    indices[order] = np.arange(len(values), dtype=np.int32)
    indices[-1] = UNKNOWN
    return values[order], indices[dictionary.indices.fill_null(len(values)).to_numpy()]
