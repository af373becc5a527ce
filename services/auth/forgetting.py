"""Has the recommender delete the events of deleted users."""

import grpc.aio
import structlog

from hashiramart.recommender.v1 import recommender_pb2, recommender_pb2_grpc
from services.auth.repository.forgettings import ForgettingRepository

_log = structlog.get_logger(__name__)

_TIMEOUT_SECONDS = 5


class DeletedUsers:
    """The deleted users whose events the recommender may still have. Replicas share the work."""

    def __init__(self, forgettings: ForgettingRepository, channel: grpc.aio.Channel) -> None:
        self._forgettings = forgettings
        self._recommender = recommender_pb2_grpc.RecommenderServiceStub(channel)

    async def forget(self) -> None:
        """Has the recommender forget all users that are due. Raises `Unavailable` or `AioRpcError`; the rest stay due."""
        while user_id := await self._forgettings.claim():
            await self._recommender.ForgetUser(recommender_pb2.ForgetUserRequest(user_id=str(user_id)), timeout=_TIMEOUT_SECONDS)
            await self._forgettings.complete(user_id)
            _log.info("user forgotten", user_id=str(user_id))
