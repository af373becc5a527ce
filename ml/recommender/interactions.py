"""Interactions in arrays: who bought what, and when."""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lake.columns import COUNTRY, CUSTOMER_NUMBER, DATE, PRODUCT_ID, QUANTITY

Ids = npt.NDArray[np.str_]
Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]

EPOCH = date(1970, 1, 1)
UNKNOWN = -1


@dataclass(frozen=True)
class Interactions:
    """One entry per customer, product and day, in this order: customer, day, product.

    Days count from 1970-01-01. The ids are sorted, and each of them has an entry, so that equal events give equal arrays.
    """

    customer_numbers: Ids
    product_ids: Ids
    countries: Ids
    customer: Ints
    product: Ints
    day: Ints
    quantity: Floats
    # Each customer's, of their latest event that tells of one, shape (customers,); UNKNOWN if none does.
    country: Ints

    @classmethod
    def of(cls, table: pa.Table) -> "Interactions":
        """The interactions of a table with the columns of `INTERACTIONS`, in whatever order its rows are."""
        customer_numbers, customer = encoded(table[CUSTOMER_NUMBER])
        product_ids, product = encoded(table[PRODUCT_ID])
        countries, event_country = encoded(table[COUNTRY])
        day = table[DATE].cast(pa.date32()).cast(pa.int32()).to_numpy()
        quantity = table[QUANTITY].to_numpy().astype(np.float32)
        order = np.lexsort((product, day, customer))
        customer, product, day = customer[order], product[order], day[order]
        country = np.full(len(customer_numbers), UNKNOWN, np.int32)
        told = event_country[order]
        country[customer[told != UNKNOWN]] = told[told != UNKNOWN]
        return cls(customer_numbers, product_ids, countries, customer, product, day, quantity[order], country)

    @cached_property
    def starts(self) -> Ints:
        """Where each customer's entries start, and at the end where the last one's end. Shape (customers + 1,)."""
        return np.searchsorted(self.customer, np.arange(len(self.customer_numbers) + 1)).astype(np.int32)

    def of_customer(self, index: int) -> slice:
        """The entries of a customer."""
        return slice(self.starts[index], self.starts[index + 1])

    def since(self, first: int, until: int) -> dict[str, Ids]:
        """What each customer bought from a day on, and before another: distinct product ids by customer number."""
        inside = (self.day >= first) & (self.day < until)
        pairs = np.unique(np.column_stack((self.customer[inside], self.product[inside])), axis=0)
        owners, starts = np.unique(pairs[:, 0], return_index=True)
        baskets = np.split(self.product_ids[pairs[:, 1]], starts[1:])
        return {str(self.customer_numbers[owner]): basket for owner, basket in zip(owners, baskets, strict=True)}


def before(table: pa.Table, cutoff: date) -> pa.Table:
    """The rows of days before the cutoff."""
    return table.filter(pc.less(table[DATE], pa.scalar(cutoff)))


def day_number(day: date) -> int:
    """The day as days count here."""
    return (day - EPOCH).days


def day_of(number: int) -> date:
    """The day that has this number."""
    return EPOCH + timedelta(days=number)


def encoded(column: pa.ChunkedArray) -> tuple[Ids, Ints]:
    """The sorted distinct values of a text column, and each row's place among them: UNKNOWN for null."""
    dictionary = column.cast(pa.string()).combine_chunks().dictionary_encode()
    values = dictionary.dictionary.to_numpy(zero_copy_only=False).astype(np.str_)
    order = np.argsort(values)
    places = np.empty(len(values) + 1, np.int32)
    places[order] = np.arange(len(values), dtype=np.int32)
    places[-1] = UNKNOWN
    return values[order], places[dictionary.indices.fill_null(len(values)).to_numpy()]
