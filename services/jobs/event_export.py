"""Exports recorded events from the recommender to the raw zone."""

import json
from collections.abc import Collection

import grpc.aio
from google.protobuf.json_format import MessageToJson

from hashiramart.recommender.v1 import recommender_pb2, recommender_pb2_grpc
from services.jobs.raw_zone import RawZoneClient

# In the raw zone. Files whose names begin with `_` are not data.
FOLDER, PREFIX, EVENTS_FILE, END_FILE = "events", "export-", "events.json", "_END"
PAGE_SIZE = 10_000


class EventExport:
    """Exports the events that were recorded since the last export.

    A page of events becomes a folder that holds them and the position of its end in the log of events. The folder gets its name by one
    renaming, which only one exporter can do: no event is lost or duplicated, whichever process dies and whichever continues. The events
    of users whom a page lists as forgotten are removed from the earlier folders first. An exporter that was paused meanwhile writes
    nothing any more: it would bring back what the next one has removed.
    """

    def __init__(self, channel: grpc.aio.Channel, raw_zone: RawZoneClient) -> None:
        self._recommender = recommender_pb2_grpc.RecommenderServiceStub(channel)
        self._raw_zone = raw_zone

    async def export(self) -> str:
        """Returns a sentence on the outcome. Events stay with the recommender while it is unavailable.

        Raises `EngineUnavailable` if HDFS cannot be reached, or if another exporter has begun since.
        """
        working = await self._raw_zone.claim(FOLDER)
        folders = sorted(await self._raw_zone.list_names(FOLDER))
        number = int(folders[-1].removeprefix(PREFIX)) if folders else 0
        end = int(await self._raw_zone.read_file(f"{FOLDER}/{folders[-1]}/{END_FILE}")) if folders else 0
        count = 0
        try:
            while True:
                request = recommender_pb2.ListEventsRequest(page_size=PAGE_SIZE, after_number=end)
                page = await self._recommender.ListEvents(request)
                if page.forgotten_user_ids:
                    await self._remove_events(working, {*page.forgotten_user_ids})
                if page.events or page.forgotten_user_ids:
                    number += 1
                    await self._create_folder(working, number, page)
                count, end = count + len(page.events), page.end_number
                if not page.next_page_token:
                    await self._raw_zone.remove(working)
                    return f"{count} recorded events were added to the raw zone"
        except grpc.aio.AioRpcError as error:
            return f"{count} recorded events were added to the raw zone; the recommender does not give more: {error.code().name}"

    async def _create_folder(self, working: str, number: int, page: recommender_pb2.ListEventsResponse) -> None:
        lines = [MessageToJson(event, preserving_proto_field_name=True, indent=None) for event in page.events]
        files = {EVENTS_FILE: "\n".join(lines).encode(), END_FILE: str(page.end_number).encode()}
        # Numbers of one width, so that the last folder by name is the latest.
        await self._raw_zone.create_folder(working, f"{FOLDER}/{PREFIX}{number:012}", files)

    async def _remove_events(self, working: str, user_ids: Collection[str]) -> None:
        """Removes the events of these users from all folders."""
        for folder in await self._raw_zone.list_names(FOLDER):
            file = f"{FOLDER}/{folder}/{EVENTS_FILE}"
            lines = (await self._raw_zone.read_file(file)).splitlines()
            remaining = [line for line in lines if json.loads(line)["user_id"] not in user_ids]
            if len(remaining) < len(lines):
                await self._raw_zone.replace_file(working, file, b"\n".join(remaining))
