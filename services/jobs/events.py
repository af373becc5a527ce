"""Recorded events, from the recommender into the raw zone: each once, and out of it again when their user is forgotten."""

import json
from collections.abc import Collection

import grpc.aio
from google.protobuf.json_format import MessageToJson

from hashiramart.recommender.v1 import recommender_pb2, recommender_pb2_grpc
from services.jobs.raw_zone import RawZone


class EventExport:
    """Takes the events that were recorded since the last time to the raw zone.

    A page of events becomes a folder, which holds them and where the next page begins. It gets its place by one renaming, which only
    one can do: so no event is missed and none is there twice, whatever ends in between and whoever goes on. Events of users whom the
    page tells to be forgotten are gone from the folders before it by then.
    """

    def __init__(self, channel: grpc.aio.Channel, raw_zone: RawZone) -> None:
        self._recommender = recommender_pb2_grpc.RecommenderServiceStub(channel)
        self._raw_zone = raw_zone

    async def export(self) -> str:
        """A sentence on what came of it; while the recommender is away events stay where they are.

        Raises `EngineUnavailable` while HDFS cannot be reached.
        """
        places = sorted(await self._raw_zone.names(_FOLDER))
        number = int(places[-1].removeprefix(_PREFIX)) if places else 0
        token = (await self._raw_zone.read(f"{_FOLDER}/{places[-1]}/{_NEXT}")).decode() if places else ""
        count = 0
        try:
            while True:
                request = recommender_pb2.ListEventsRequest(page_size=_PAGE_SIZE, page_token=token)
                page = await self._recommender.ListEvents(request)
                if page.forgotten_user_ids:
                    await self._forget({*page.forgotten_user_ids})
                if page.events or page.forgotten_user_ids:
                    number += 1
                    await self._place(number, page)
                count, token = count + len(page.events), page.next_page_token
                if not page.has_more:
                    return f"{count} recorded events were added to the raw zone"
        except grpc.aio.AioRpcError as error:
            return f"{count} recorded events were added to the raw zone; the recommender does not give more: {error.code().name}"

    async def _place(self, number: int, page: recommender_pb2.ListEventsResponse) -> None:
        lines = [MessageToJson(event, preserving_proto_field_name=True, indent=None) for event in page.events]
        files = {_EVENTS: "\n".join(lines).encode(), _NEXT: page.next_page_token.encode()}
        # Without a gap and of one width, so that the last by name is the last.
        await self._raw_zone.place(f"{_FOLDER}/{_PREFIX}{number:012}", files)

    async def _forget(self, user_ids: Collection[str]) -> None:
        """Removes the events of these users from all that was placed."""
        for place in await self._raw_zone.names(_FOLDER):
            file = f"{_FOLDER}/{place}/{_EVENTS}"
            lines = (await self._raw_zone.read(file)).splitlines()
            kept = [line for line in lines if json.loads(line)["user_id"] not in user_ids]
            if len(kept) < len(lines):
                await self._raw_zone.replace(file, b"\n".join(kept))


# Of the raw zone. What has a name that begins with `_` is nobody's data.
_FOLDER, _PREFIX, _EVENTS, _NEXT = "events", "export-", "events.json", "_NEXT"
# Tokens hold for pages of this size.
_PAGE_SIZE = 10_000
