"""Entries of the calendar as the contract's messages, and requests as entries."""

from datetime import date

from hashiramart.forecaster.v1 import calendar_pb2
from mesh.errors import InvalidArgument
from mesh.timestamps import write_timestamp
from services.forecaster.calendar import KINDS, Entry, EntryDetails, EntryKind, ImportReport, RowFault

_KINDS = dict(
    zip(
        KINDS,
        (calendar_pb2.CALENDAR_ENTRY_KIND_CLOSURE, calendar_pb2.CALENDAR_ENTRY_KIND_HOLIDAY, calendar_pb2.CALENDAR_ENTRY_KIND_PROMOTION),
        strict=True,
    )
)
_MAX_FAILURES = 5000


def entry_message(entry: Entry, time_zone: str) -> calendar_pb2.CalendarEntry:
    """An entry. time_zone: of its days, an IANA name"""
    message = calendar_pb2.CalendarEntry(
        id=entry.id,
        kind=_KINDS[entry.kind],
        name=entry.name,
        first_date=entry.first_date.isoformat(),
        last_date=entry.last_date.isoformat(),
        product_id=entry.product_id,
        category=entry.category,
        discount_percent=entry.discount_percent,
        etag=entry.etag,
        time_zone=time_zone,
    )
    write_timestamp(entry.create_time, message.create_time)
    write_timestamp(entry.update_time, message.update_time)
    return message


def entry_kind(kind: calendar_pb2.CalendarEntryKind.ValueType) -> EntryKind | None:
    """None if it is not stated."""
    return next((name for name, value in _KINDS.items() if value == kind), None)


def entry_details(message: calendar_pb2.CalendarEntry) -> EntryDetails:
    """The editable fields of an entry. Raises `InvalidArgument` if one is missing or they do not fit together."""
    kind = entry_kind(message.kind)
    if kind is None:
        raise InvalidArgument("an entry is a closure, a holiday or a promotion", field="entry.kind")
    first = day_of("entry.first_date", message.first_date)
    details = EntryDetails(
        kind=kind,
        name=message.name,
        first_date=first,
        last_date=day_of("entry.last_date", message.last_date) if message.last_date else first,
        product_id=message.product_id,
        category=message.category,
        discount_percent=message.discount_percent,
    )
    details.check()
    return details


def day_of(field: str, text: str) -> date:
    """The day that a field names. Raises `InvalidArgument`."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidArgument("'{day}' is not a day of the calendar, YYYY-MM-DD", field=field, day=text) from None


def import_message(report: ImportReport, unreadable: list[RowFault]) -> calendar_pb2.ImportCalendarEntriesResponse:
    """The outcome of an import. unreadable: rows that were at fault before it"""
    faults = sorted([*unreadable, *report.faults])
    return calendar_pb2.ImportCalendarEntriesResponse(
        row_count=report.created + report.updated + report.unchanged + len(faults),
        created_count=report.created,
        updated_count=report.updated,
        unchanged_count=report.unchanged,
        failed_count=len(faults),
        failures=(
            calendar_pb2.CalendarRowFailure(row=fault.number, field=fault.field, reason=fault.reason, message=fault.message)
            for fault in faults[:_MAX_FAILURES]
        ),
    )
