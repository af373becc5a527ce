"""The results that ETL applications leave in the lake."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from lake.bucket import Bucket
from lake.errors import StoreError
from lake.results import JobResult, read_result, remove_result
from services.jobs.errors import EngineUnavailable

T = TypeVar("T")


class Results:
    """The results in a bucket."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    async def read(self, job_id: str) -> JobResult:
        """The result of a job; empty if its application left none. Raises `EngineUnavailable`."""
        return await _in_thread(lambda: read_result(self._bucket, job_id))

    async def remove(self, job_id: str) -> None:
        """Removes the result that an earlier attempt of the job left. Raises `EngineUnavailable`."""
        await _in_thread(lambda: remove_result(self._bucket, job_id))


async def _in_thread(call: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(call)
    except StoreError as error:
        raise EngineUnavailable("the store cannot be reached") from error
