"""The job as a program: its arguments, and the result that it leaves."""

import os
import subprocess
import sys

import pytest
from google.protobuf import json_format

from hashiramart.jobs.v1 import error_reason_pb2, jobs_pb2
from lake.errors import PublishConflict, StoreUnavailable, UnreadableFile
from lake.results import JobResult, read_result
from spark import errors
from spark.etl import etl_error
from tests.spark.shop import BUCKET, Shop, credentials, line


def submit(shop: Shop, arguments: str, job_id: str) -> tuple[int, JobResult]:
    """The exit code of the job and the result that it left in the lake."""
    command = [sys.executable, "-m", "spark.etl", "--job-id", job_id, "--raw-root", f"file:{shop.raw}"]
    command += ["--store-url", shop.store.store.endpoint, "--bucket", BUCKET, "--reject-share", "0.5"]
    environment = os.environ | credentials(shop.store) | {"PYSPARK_SUBMIT_ARGS": f"{arguments} pyspark-shell"}
    code = subprocess.run(command, env=environment, check=False).returncode
    return code, read_result(shop.bucket, job_id)


def test_the_result_is_an_etl_result_of_the_contract(shop: Shop, submit_arguments: str) -> None:
    shop.land(line(), line(), line(time="2011-02-03 10:00:00"), line(price=0))
    code, left = submit(shop, f"{submit_arguments} --conf spark.sql.shuffle.partitions=2", "job-1")
    assert code == 0
    result = json_format.ParseDict(dict(left["etl"]), jobs_pb2.EtlResult())
    assert (result.row_count, result.sale_count, result.duplicate_count, result.file_count) == (4, 3, 0, 1)
    assert [(reject.reason, reject.line_count) for reject in result.rejects] == [("price", 1)]
    assert (result.first_date, result.through_date, result.published) == ("2011-01-03", "2011-02-03", True)
    manifest = shop.published()
    assert manifest is not None
    assert (manifest.job_id, manifest.dataset().sha256) == ("job-1", result.data_hash)


def test_a_failure_leaves_its_reason_and_a_message(shop: Shop, submit_arguments: str) -> None:
    code, left = submit(shop, submit_arguments, "job-2")
    assert code == 1
    failure = json_format.ParseDict(dict(left["failure"]), jobs_pb2.JobFailure())
    assert failure.reason == "NO_RAW_DATA"
    assert str(shop.raw) in failure.message


@pytest.mark.parametrize(
    "error",
    [
        errors.NoRawData("raw"),
        UnreadableFile("sales.csv", "is empty"),
        errors.TooManyRejects("sales.csv", 0.5, 0.1),
        PublishConflict(),
        StoreUnavailable("The store cannot be reached."),
        ConnectionRefusedError(),
        ValueError("a bug"),
    ],
)
def test_every_reason_is_one_of_the_contract(error: Exception) -> None:
    assert error_reason_pb2.ErrorReason.Value(etl_error(error).reason)


def test_no_secret_is_an_argument() -> None:
    text = subprocess.run([sys.executable, "-m", "spark.etl", "--help"], capture_output=True, text=True, check=True).stdout
    assert not any(word in text.lower() for word in ("secret", "password", "access-key"))
