"""The results of Spark jobs: each application leaves one in the bucket, and the jobs service reads it."""

import json
from collections.abc import Mapping

from lake.bucket import Bucket

JobResult = Mapping[str, Mapping[str, object]]
"""`etl` with the figures of a job that succeeded, or `failure` with the reason and message of one that failed."""


def write_result(bucket: Bucket, job_id: str, result: JobResult) -> None:
    """Leaves the result of a job."""
    bucket.write(_key(job_id), json.dumps(result, indent=1).encode())


def read_result(bucket: Bucket, job_id: str) -> JobResult:
    """The result of a job; empty if its application left none."""
    stored = bucket.read(_key(job_id))
    result: JobResult = {} if stored is None else json.loads(stored.content)
    return result


def remove_result(bucket: Bucket, job_id: str) -> None:
    """Removes the result that an earlier attempt of the job left."""
    bucket.remove([_key(job_id)])


def _key(job_id: str) -> str:
    return f"jobs/{job_id}/result.json"
