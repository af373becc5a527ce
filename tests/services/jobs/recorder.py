"""Serves the logs of events and exposures of the recommender's contract from lists."""

from typing import Self

import grpc.aio
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from hashiramart.recommender.v1 import recommender_pb2, recommender_pb2_grpc
from mesh.errors import Unavailable
from mesh.identity import Keys, TokenVerifier
from mesh.server import Server
from mesh.settings import MeshSettings
from tests.loops import Loop

# Whatever page size is requested.
PAGE_SIZE = 2


class Recorder(recommender_pb2_grpc.RecommenderServiceServicer):
    """Served for the length of a `with` block."""

    def __init__(self, loop: Loop, settings: MeshSettings, keys: Keys) -> None:
        self._loop, self._settings = loop, settings
        self._verifier = TokenVerifier(settings.jwt_issuer, settings.jwt_audience, keys)
        # Events and the ids of forgotten users, in order; None in place of the events of forgotten users.
        self._log: list[recommender_pb2.Event | str | None] = []
        self.exposures: list[recommender_pb2.Exposure] = []
        # How many pages it serves before it becomes unavailable.
        self.pages_left = 1000

    def __enter__(self) -> Self:
        self._server = self._loop.run(self._serve())
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.run(self._server.stop(0))

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.port}"

    def buy(
        self, *ids: str, user_id: str = "u-1", customer_number: str = "", order_id: str = "", time: str = "2011-02-05T10:00:00Z"
    ) -> None:
        """Records purchases by these ids; those of an order for 2.50, because of a list."""
        for id in ids:
            event = recommender_pb2.Event(id=id, kind=recommender_pb2.EVENT_KIND_PURCHASE, product_id="20002", quantity=2, user_id=user_id)
            event.customer_number = customer_number
            if order_id:
                event.order_id, event.unit_price_cents, event.recommendation_id = order_id, 250, "r-1"
            moment = Timestamp()
            moment.FromJsonString(time)
            event.event_time.CopyFrom(moment)
            self._log.append(event)

    def show(self, *ids: str, user_id: str = "u-1") -> None:
        """Logs lists of one product by these ids."""
        for id in ids:
            exposure = recommender_pb2.Exposure(recommendation_id=id, user_id=user_id, slot="home", model_version="2")
            exposure.products.add(product_id="20002", position=1, propensity=0.9, event_kinds=[recommender_pb2.EVENT_KIND_CLICK])
            exposure.create_time.FromJsonString("2026-02-05T10:00:00Z")
            self.exposures.append(exposure)

    def forget(self, user_id: str) -> None:
        """Forgets a user; the log of exposures keeps its numbers."""
        self._log = [None if isinstance(each, recommender_pb2.Event) and each.user_id == user_id else each for each in self._log]
        self._log.append(user_id)

    async def _serve(self) -> Server:
        server = Server("127.0.0.1:0", self._settings, self._verifier)
        recommender_pb2_grpc.add_RecommenderServiceServicer_to_server(self, server)
        await server.start()
        return server

    async def ListEvents(  # noqa: N802
        self, request: recommender_pb2.ListEventsRequest, context: grpc.aio.ServicerContext[Message, Message]
    ) -> recommender_pb2.ListEventsResponse:
        if not self.pages_left:
            raise Unavailable("DATABASE_UNAVAILABLE", "the events cannot be read")
        self.pages_left -= 1
        start = int(request.page_token or request.after_number)
        page = self._log[start : start + PAGE_SIZE]
        end = start + len(page)
        return recommender_pb2.ListEventsResponse(
            events=(each for each in page if isinstance(each, recommender_pb2.Event)),
            forgotten_user_ids=(each for each in page if isinstance(each, str)),
            next_page_token=str(end) if end < len(self._log) else "",
            end_number=end,
        )

    async def ListExposureLog(  # noqa: N802
        self, request: recommender_pb2.ListExposureLogRequest, context: grpc.aio.ServicerContext[Message, Message]
    ) -> recommender_pb2.ListExposureLogResponse:
        start = int(request.page_token or request.after_number)
        end = min(start + PAGE_SIZE, len(self.exposures))
        forgotten = {each for each in self._log if isinstance(each, str)}
        return recommender_pb2.ListExposureLogResponse(
            exposures=(each for each in self.exposures[start:end] if each.user_id not in forgotten),
            next_page_token=str(end) if end < len(self.exposures) else "",
            end_number=end,
        )
