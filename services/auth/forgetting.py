"""Has the recommender forget deleted users, however long it takes to reach it."""

import asyncio

import grpc.aio
import structlog

from hashiramart.recommender.v1 import recommender_pb2, recommender_pb2_grpc
from mesh.errors import Unavailable
from services.auth.repository import ForgettingRepository

log = structlog.get_logger(__name__)

_PAUSE_SECONDS = 2


async def forget_deleted_users(forgettings: ForgettingRepository, channel: grpc.aio.Channel) -> None:
    """Runs as long as the process does. Several replicas share the work."""
    recommender = recommender_pb2_grpc.RecommenderServiceStub(channel)
    while True:
        try:
            while user_id := await forgettings.claim():
                await recommender.ForgetUser(recommender_pb2.ForgetUserRequest(user_id=str(user_id)), timeout=5)
                await forgettings.done(user_id)
                log.info("user forgotten", user_id=str(user_id))
        except grpc.aio.AioRpcError as error:
            log.warning("users not forgotten yet", recommender=error.code().name)
        except Unavailable as error:
            log.warning("users not forgotten yet", database=error.code.name)
        await asyncio.sleep(_PAUSE_SECONDS)
