"""The entries of the shop's calendar, and their rules."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any, Literal, NamedTuple, Self, get_args

from mesh.errors import Aborted, FailedPrecondition, FieldViolation, InvalidArgument

EntryKind = Literal["closure", "holiday", "promotion"]
KINDS: tuple[EntryKind, ...] = get_args(EntryKind)
_MAX_DAYS = 366


class EntryDetails(NamedTuple):
    """The editable fields of an entry."""

    kind: EntryKind
    name: str
    first_date: date
    last_date: date
    product_id: str
    """What is promoted; if it and `category` are empty, everything."""
    category: str
    discount_percent: float

    @property
    def scope(self) -> tuple[str, str]:
        return self.product_id, self.category

    def check(self) -> None:
        """Raises `InvalidArgument` if the fields do not fit together."""
        if self.last_date < self.first_date:
            raise InvalidArgument("last_date is before first_date", field="entry.last_date")
        if (self.last_date - self.first_date).days >= _MAX_DAYS:
            raise InvalidArgument("an entry lasts at most {limit} days", field="entry.last_date", limit=_MAX_DAYS)
        if self.kind == "promotion":
            if not self.discount_percent:
                raise InvalidArgument("a promotion has a discount", field="entry.discount_percent")
            if self.product_id and self.category:
                raise InvalidArgument("a promotion is for a product or a category, not for both", field="entry.category")
            return
        for name, value in (("product_id", self.product_id), ("category", self.category), ("discount_percent", self.discount_percent)):
            if value:
                raise InvalidArgument("only a promotion has it, not a {kind}", field=f"entry.{name}", kind=self.kind)

    def check_in_future(self, through: date | None) -> None:
        """Raises `FailedPrecondition` for a closure that cannot change a forecast. through: the last day of the sales, if it is known"""
        if self.kind == "closure" and through is not None and self.last_date <= through:
            message = "the sales up to {data_through_date} are known, so that a closure until {last_date} changes no forecast"
            raise FailedPrecondition(
                "CLOSURE_IN_PAST",
                message,
                violations=[FieldViolation("entry.last_date", f"must be after {through}")],
                data_through_date=through,
                last_date=self.last_date,
            )


class Entry(NamedTuple):
    """A version of an entry."""

    id: str
    kind: EntryKind
    name: str
    first_date: date
    last_date: date
    product_id: str
    category: str
    discount_percent: float
    create_time: datetime
    update_time: datetime
    version: int

    @property
    def details(self) -> EntryDetails:
        return EntryDetails(*self[1:8])

    @property
    def etag(self) -> str:
        return f"{self.version:x}"

    def update(self, etag: str, **details: Any) -> Self:
        """A copy with other details. Raises `Aborted` if `etag` is stale."""
        if etag and etag != self.etag:
            raise Aborted("STALE_ETAG", "calendar entry '{id}' was changed since it was read", id=self.id)
        return self._replace(**details)


class Row(NamedTuple):
    """A row of a file that could be read."""

    number: int
    """From 1."""
    id: str
    details: EntryDetails


class RowFault(NamedTuple):
    """Why a row of a file is skipped."""

    number: int
    """From 1."""
    field: str
    reason: str
    message: str


class ImportReport(NamedTuple):
    """What an import has done, or would do: the number of entries created, replaced and left as they were, and the rows at fault."""

    created: int
    updated: int
    unchanged: int
    faults: list[RowFault]


def check_overlap(id: str, details: EntryDetails, others: Iterable[tuple[str, EntryDetails]]) -> None:
    """Raises `FailedPrecondition` if a promotion shares days with another of the same scope: their discounts would contradict each other.

    others: entries with their ids; may contain the entry itself, and other kinds
    """
    if details.kind != "promotion":
        return
    for other_id, other in others:
        same = other.kind == "promotion" and other.scope == details.scope and other_id != id
        if same and other.first_date <= details.last_date and details.first_date <= other.last_date:
            message = "promotion '{id}' of the same scope lasts from {first_date} to {last_date}"
            raise FailedPrecondition(
                "PROMOTION_OVERLAPS",
                message,
                violations=[FieldViolation("entry.first_date", f"overlaps promotion '{other_id}'")],
                id=other_id,
                first_date=other.first_date,
                last_date=other.last_date,
            )


def closed_days(closures: Iterable[tuple[date, date]], first: date, count: int) -> list[date]:
    """The days of a horizon on which the shop is closed, in order. closures: their first and last days"""
    last = first + timedelta(days=count - 1)
    closed: set[date] = set()
    for begin, end in closures:
        start = max(begin, first)
        closed.update(start + timedelta(days=day) for day in range((min(end, last) - start).days + 1))
    return sorted(closed)
