"""What came of jobs, as their applications leave it in the store."""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import TypeVar
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.credentials.providers import AWSConfigProvider, ChainedProvider, EnvAWSProvider
from minio.error import MinioException, S3Error

from services.jobs.yarn import EngineUnavailable

T = TypeVar("T")


class Results:
    """The results in a bucket. Keys for the store come from the environment, else from the file that AWS_SHARED_CREDENTIALS_FILE names."""

    def __init__(self, url: str, region: str, bucket: str) -> None:
        address = urlsplit(url)
        self._provider = ChainedProvider([EnvAWSProvider(), AWSConfigProvider()])
        self._client = Minio(
            address.netloc,
            secure=address.scheme == "https",
            region=region,
            credentials=self._provider,
            http_client=urllib3.PoolManager(timeout=_TIMEOUT_SECONDS, retries=False),
        )
        self._bucket = bucket

    @property
    def secret_key(self) -> str:
        """By which the store knows us, so that it can be hidden wherever it turns up."""
        return self._provider.retrieve().secret_key

    async def read(self, job_id: str) -> Mapping[str, Mapping[str, object]]:
        """The result of a job: `etl` or `failure`; nothing if its application left none. Raises `EngineUnavailable`."""

        def read() -> Mapping[str, Mapping[str, object]]:
            try:
                answer = self._client.get_object(self._bucket, _key(job_id))
            except S3Error as error:
                if error.code == "NoSuchKey":
                    return {}
                raise
            with answer:
                result: Mapping[str, Mapping[str, object]] = json.loads(answer.read())
                return result

        return await self._asked(read)

    async def clear(self, job_id: str) -> None:
        """Removes what an earlier try of the job has left. Raises `EngineUnavailable`."""
        await self._asked(lambda: self._client.remove_object(self._bucket, _key(job_id)))

    async def _asked(self, call: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(call)
        except (MinioException, urllib3.exceptions.HTTPError, OSError) as error:
            raise EngineUnavailable("the store cannot be reached") from error


def _key(job_id: str) -> str:
    return f"jobs/{job_id}/result.json"


_TIMEOUT_SECONDS = 5
