"""The RPCs of the calendar."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import date

import grpc.aio
from google.protobuf.message import Message

from hashiramart.forecaster.v1 import calendar_pb2, calendar_pb2_grpc
from mesh.errors import StatusError
from mesh.field_masks import check_fixed_fields, masked_fields
from mesh.idempotency import idempotent_request
from mesh.ids import new_id
from mesh.paging import PageTokens, page_size
from services.forecaster.calendar import Entry, Row, RowFault
from services.forecaster.calendar_files import read_rows
from services.forecaster.calendar_messages import day_of, entry_details, entry_kind, entry_message, import_message
from services.forecaster.calendar_repository import CalendarRepository, fault_of
from services.forecaster.public_holidays import holiday_rows

Context = grpc.aio.ServicerContext[Message, Message]

_FIRST_PLACE = (date.min, "")


class CalendarServicer(calendar_pb2_grpc.CalendarServiceServicer):
    """Manages the calendar.

    through: the last day of the sales that are forecast, None while there is no model
    refresh: reads what forecasts know of the calendar, so that they know of a change before it is answered
    """

    def __init__(
        self,
        calendar: CalendarRepository,
        page_tokens: PageTokens,
        time_zone: str,
        through: Callable[[], date | None],
        refresh: Callable[[], Awaitable[None]],
    ) -> None:
        self._calendar = calendar
        self._page_tokens = page_tokens
        self._time_zone = time_zone
        self._through = through
        self._refresh = refresh

    async def ListCalendarEntries(
        self, request: calendar_pb2.ListCalendarEntriesRequest, context: Context
    ) -> calendar_pb2.ListCalendarEntriesResponse:
        place, size = self._page_tokens.read(request), page_size(request.page_size)
        after = (date.fromisoformat(str(place[0])), str(place[1])) if place else _FIRST_PLACE
        since = day_of("from_date", request.from_date) if request.from_date else date.min
        found = await self._calendar.page(entry_kind(request.kind), since, after, size + 1)
        page = found[:size]
        return calendar_pb2.ListCalendarEntriesResponse(
            entries=(entry_message(entry, self._time_zone) for entry in page),
            next_page_token=self._page_tokens.write(request, (page[-1].first_date.isoformat(), page[-1].id)) if len(found) > size else "",
        )

    async def GetCalendarEntry(self, request: calendar_pb2.GetCalendarEntryRequest, context: Context) -> calendar_pb2.CalendarEntry:
        return entry_message(await self._calendar.get(request.id), self._time_zone)

    async def CreateCalendarEntry(self, request: calendar_pb2.CreateCalendarEntryRequest, context: Context) -> calendar_pb2.CalendarEntry:
        details = entry_details(request.entry)
        details.check_in_future(self._through())
        created = await self._calendar.create(request.entry.id or new_id(), details, idempotent_request(request))
        await self._refresh()
        return created

    async def UpdateCalendarEntry(self, request: calendar_pb2.UpdateCalendarEntryRequest, context: Context) -> calendar_pb2.CalendarEntry:
        sent = request.entry
        masked = masked_fields(sent, request.update_mask)

        def apply(entry: Entry) -> Entry:
            current = entry_message(entry, self._time_zone)
            wanted = calendar_pb2.CalendarEntry()
            wanted.CopyFrom(current)
            for field in masked:
                setattr(wanted, field, getattr(sent, field))
            details = entry_details(wanted)
            updated = entry.update(sent.etag, **details._asdict())
            check_fixed_fields("entry", sent, request.update_mask, current)
            if details != entry.details:
                details.check_in_future(self._through())
            return updated

        updated = await self._calendar.update(sent.id, apply, idempotent_request(request))
        await self._refresh()
        return updated

    async def DeleteCalendarEntry(self, request: calendar_pb2.DeleteCalendarEntryRequest, context: Context) -> calendar_pb2.CalendarEntry:
        deleted = await self._calendar.delete(request.id, request.etag, idempotent_request(request))
        await self._refresh()
        return deleted

    async def ImportCalendarEntries(
        self, request: calendar_pb2.ImportCalendarEntriesRequest, context: Context
    ) -> calendar_pb2.ImportCalendarEntriesResponse:
        rows, faults = await asyncio.to_thread(read_rows, request.content, request.format)
        return await self._import(rows, faults, request.validate_only)

    async def ImportHolidays(
        self, request: calendar_pb2.ImportHolidaysRequest, context: Context
    ) -> calendar_pb2.ImportCalendarEntriesResponse:
        rows = await asyncio.to_thread(
            holiday_rows,
            request.country_code,
            request.subdivision_code,
            request.first_year,
            request.last_year or request.first_year,
            request.closed,
        )
        through = self._through()
        # Closures of the past are no mistake of the caller's here: a year has some of both.
        coming = [row for row in rows if through is None or row.details.kind != "closure" or row.details.last_date > through]
        return await self._import(coming, [], request.validate_only)

    async def _import(
        self, rows: Sequence[Row], unreadable: Sequence[RowFault], validate_only: bool
    ) -> calendar_pb2.ImportCalendarEntriesResponse:
        faults, valid = [*unreadable], list[Row]()
        for row in rows:
            try:
                row.details.check_in_future(self._through())
            except StatusError as error:
                faults.append(fault_of(row.number, error))
            else:
                valid.append(row)
        report = await self._calendar.upsert(valid, validate_only)
        if not validate_only:
            await self._refresh()
        return import_message(report, faults)
