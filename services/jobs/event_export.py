"""Exports recorded events and exposures from the recommender to the raw zone."""

import json
from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta

import grpc.aio
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message

from hashiramart.recommender.v1 import recommender_pb2, recommender_pb2_grpc
from mesh.timestamps import timestamp
from services.jobs.raw_zone import RawZoneClient

# In the raw zone. Files whose names begin with `_` are not data.
EVENTS, EXPOSURES, PREFIX, END_FILE = "events", "exposures", "export-", "_END"
# How many a page has. What followed from an exposure is looked up, and a list has many products.
EVENTS_PAGE_SIZE, EXPOSURES_PAGE_SIZE = 10_000, 2_000


class EventExport:
    """Exports the events that were recorded, and the exposures that became old enough, since the last export.

    A page becomes a folder, `events/export-<number>/` or `exposures/export-<number>/`, with a JSON object in each line of `events.json` or
    `exposures.json`, and the position of its end in the log that it comes from in `_END`. The folder gets its name by one renaming, which
    only one exporter can do: nothing is lost or duplicated, whichever process dies and whichever continues. The lines of users whom a page
    of events lists as forgotten are removed from the earlier folders first. An exporter that was paused meanwhile writes nothing any more:
    it would bring back what the next one has removed.

    The lines are the messages `Event` and `Exposure` of the contract. A line of `exposures.json` is a list that was shown, and always has

        recommendation_id, user_id (opaque; of a user or visitor), slot, model_version, fallback_step, create_time, experiment_id, arm,
        products: an array, in the order of the positions, of objects with
            product_id, position, propensity, rule_id,
            event_kinds: what the shopper did with the product because of this list, by the time of the export: an array of names such as
            `EVENT_KIND_CLICK`

    where text that is not known is empty.
    """

    def __init__(self, channel: grpc.aio.Channel, raw_zone: RawZoneClient, exposure_delay: timedelta) -> None:
        """exposure_delay: how old an exposure has to be, so that what followed from it is known"""
        self._recommender = recommender_pb2_grpc.RecommenderServiceStub(channel)
        self._raw_zone = raw_zone
        self._exposure_delay = exposure_delay

    async def export(self) -> list[str]:
        """Returns sentences on the outcome. Events and exposures stay with the recommender while it is unavailable.

        Raises `EngineUnavailable` if HDFS cannot be reached, or if another exporter has begun since.
        """
        # One claim for both: users who are forgotten leave both.
        working = await self._raw_zone.claim(EVENTS)
        # Exposures come second: users whom a later page of events will list as forgotten may be among them, earlier ones are not.
        outcomes = [await self._export_events(working), await self._export_exposures(working)]
        await self._raw_zone.remove(working)
        return outcomes

    async def _export_events(self, working: str) -> str:
        number, end = await self._last_folder(EVENTS)
        count, request = 0, recommender_pb2.ListEventsRequest(page_size=EVENTS_PAGE_SIZE, after_number=end)
        try:
            while True:
                page = await self._recommender.ListEvents(request)
                if page.forgotten_user_ids:
                    for kind in (EXPOSURES, EVENTS):
                        await self._remove_users(working, kind, {*page.forgotten_user_ids})
                if page.events or page.forgotten_user_ids:
                    number += 1
                    lines = (MessageToJson(event, preserving_proto_field_name=True, indent=None) for event in page.events)
                    await self._create_folder(working, EVENTS, number, lines, page.end_number)
                count, request.after_number = count + len(page.events), page.end_number
                if not page.next_page_token:
                    return f"{count} recorded events were added to the raw zone"
        except grpc.aio.AioRpcError as error:
            return f"{count} recorded events were added to the raw zone; {_interruption(error)}"

    async def _export_exposures(self, working: str) -> str:
        number, end = await self._last_folder(EXPOSURES)
        before_time = timestamp(datetime.now(UTC) - self._exposure_delay)
        count, request = 0, recommender_pb2.ListExposureLogRequest(page_size=EXPOSURES_PAGE_SIZE, after_number=end, before_time=before_time)
        try:
            while True:
                page = await self._recommender.ListExposureLog(request)
                if page.exposures:
                    number += 1
                    await self._create_folder(working, EXPOSURES, number, map(_complete_json, page.exposures), page.end_number)
                count, request.after_number = count + len(page.exposures), page.end_number
                if not page.next_page_token:
                    return f"{count} exposures were added to the raw zone"
        except grpc.aio.AioRpcError as error:
            return f"{count} exposures were added to the raw zone; {_interruption(error)}"

    async def _last_folder(self, kind: str) -> tuple[int, int]:
        """The number of the last folder, and the position of its end in the log; 0 without one."""
        folders = sorted(await self._raw_zone.list_names(kind))
        if not folders:
            return 0, 0
        return int(folders[-1].removeprefix(PREFIX)), int(await self._raw_zone.read_file(f"{kind}/{folders[-1]}/{END_FILE}"))

    async def _create_folder(self, working: str, kind: str, number: int, lines: Iterable[str], end: int) -> None:
        files = {f"{kind}.json": "\n".join(lines).encode(), END_FILE: str(end).encode()}
        # Numbers of one width, so that the last folder by name is the latest.
        await self._raw_zone.create_folder(working, f"{kind}/{PREFIX}{number:012}", files)

    async def _remove_users(self, working: str, kind: str, user_ids: Collection[str]) -> None:
        """Removes the lines of these users from all folders."""
        for folder in await self._raw_zone.list_names(kind):
            file = f"{kind}/{folder}/{kind}.json"
            lines = (await self._raw_zone.read_file(file)).splitlines()
            remaining = [line for line in lines if json.loads(line)["user_id"] not in user_ids]
            if len(remaining) < len(lines):
                await self._raw_zone.replace_file(working, file, b"\n".join(remaining))


def _complete_json(message: Message) -> str:
    """A message as JSON with all its fields, so that each line has the same columns."""
    return MessageToJson(message, preserving_proto_field_name=True, indent=None, always_print_fields_with_no_presence=True)


def _interruption(error: grpc.aio.AioRpcError) -> str:
    return f"the recommender does not give more: {error.code().name}"
