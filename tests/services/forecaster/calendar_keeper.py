"""A client of the calendar."""

from typing import Any

from hashiramart.forecaster.v1 import calendar_pb2
from hashiramart.forecaster.v1.calendar_pb2_grpc import CalendarServiceStub

Entry = calendar_pb2.CalendarEntry
Report = calendar_pb2.ImportCalendarEntriesResponse


class CalendarKeeper:
    """Keeps the calendar as one user. Kinds are given by their short names, such as `closure`."""

    def __init__(self, stub: CalendarServiceStub, metadata: tuple[tuple[str, str], ...]) -> None:
        self._stub = stub
        self._metadata = metadata

    def create(self, kind: str, first_date: str, last_date: str = "", *, request_id: str = "", **fields: Any) -> Entry:
        entry = Entry(kind=self._kind(kind), first_date=first_date, last_date=last_date, **fields)
        request = calendar_pb2.CreateCalendarEntryRequest(entry=entry, request_id=request_id)
        return self._stub.CreateCalendarEntry(request, metadata=self._metadata, timeout=10)

    def update(self, id: str, mask: tuple[str, ...] = (), **fields: Any) -> Entry:
        request = calendar_pb2.UpdateCalendarEntryRequest(entry=Entry(id=id, **fields))
        request.update_mask.paths.extend(mask)
        return self._stub.UpdateCalendarEntry(request, metadata=self._metadata, timeout=10)

    def delete(self, id: str, etag: str = "") -> Entry:
        return self._stub.DeleteCalendarEntry(
            calendar_pb2.DeleteCalendarEntryRequest(id=id, etag=etag), metadata=self._metadata, timeout=10
        )

    def get(self, id: str) -> Entry:
        return self._stub.GetCalendarEntry(calendar_pb2.GetCalendarEntryRequest(id=id), metadata=self._metadata, timeout=10)

    def page(self, kind: str = "", **fields: Any) -> calendar_pb2.ListCalendarEntriesResponse:
        request = calendar_pb2.ListCalendarEntriesRequest(kind=self._kind(kind or "unspecified"), **fields)
        return self._stub.ListCalendarEntries(request, metadata=self._metadata, timeout=10)

    def import_csv(self, content: str, **fields: Any) -> Report:
        return self._import(content, calendar_pb2.CALENDAR_FILE_FORMAT_CSV, **fields)

    def import_ndjson(self, content: str, **fields: Any) -> Report:
        return self._import(content, calendar_pb2.CALENDAR_FILE_FORMAT_NDJSON, **fields)

    def import_holidays(self, country_code: str, first_year: int, **fields: Any) -> Report:
        request = calendar_pb2.ImportHolidaysRequest(country_code=country_code, first_year=first_year, **fields)
        return self._stub.ImportHolidays(request, metadata=self._metadata, timeout=10)

    def clear(self) -> None:
        """Deletes all entries."""
        while entries := self.page(page_size=100).entries:
            for entry in entries:
                self.delete(entry.id)

    def _import(self, content: str, format: calendar_pb2.CalendarFileFormat.ValueType, **fields: Any) -> Report:
        request = calendar_pb2.ImportCalendarEntriesRequest(content=content, format=format, **fields)
        return self._stub.ImportCalendarEntries(request, metadata=self._metadata, timeout=10)

    @staticmethod
    def _kind(name: str) -> calendar_pb2.CalendarEntryKind.ValueType:
        return calendar_pb2.CalendarEntryKind.Value(f"CALENDAR_ENTRY_KIND_{name.upper()}")
