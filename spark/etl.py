"""The ETL job: makes clean data of the raw sales and events, and publishes it.

    spark-submit [...] --py-files FILES spark/etl.py --job-id ID --raw-root hdfs:///hashiramart/raw --store-url http://127.0.0.1:9000

Leaves its result, or the reason of its failure, in the bucket: see lake/results.py.
"""

import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime
from secrets import token_hex

import structlog
from py4j.protocol import Py4JJavaError
from pydantic import Field
from pydantic_settings import BaseSettings
from pyspark.errors import PySparkException
from urllib3.exceptions import HTTPError

from lake.bucket import Bucket, connect
from lake.errors import PublishConflict, StoreUnavailable, UnreadableFile
from lake.manifest import CleaningRules, Manifest
from lake.results import write_result
from lake.schemas import CLEANING_VERSION
from spark.errors import EtlError
from spark.run import EtlRun, RunSpec
from spark.session import create_session

# How Spark reports that HDFS or the store did not answer: parts of its messages.
NETWORK_FAULTS = ("java.net.", "BlockMissingException", "SdkClientException", "StandbyException", "SafeModeException")

log = structlog.get_logger()


class EtlArguments(BaseSettings, env_prefix="ETL_", cli_kebab_case=True, cli_implicit_flags=True, frozen=True):
    """Runs the ETL once. Keys for the store are no arguments: see spark/session.py."""

    job_id: str = Field(description="The job's id, under which its result is left.")
    raw_root: str = Field(description="The root of the raw zone, such as hdfs:///hashiramart/raw.")
    store_url: str = Field(description="The address of the S3 store.")
    region: str = Field("us-east-1", description="The store's region.")
    bucket: str = Field("lake", description="The bucket of the clean data.")
    through_date: date | None = Field(None, description="The last day whose events are included; by default the last day of sales.")
    full: bool = Field(False, description="Clean every month again, not only those that new files touch.")
    reject_share: float = Field(0.1, gt=0, le=1, description="The largest share of a file's lines that may be rejected.")
    first_date: date = Field(date(2000, 1, 1), description="The earliest date of a sale; an earlier one is a reject.")
    future_days: int = Field(1, ge=0, le=36_500, description="How many days after its file was landed a sale may be dated.")
    time_zone: str = Field("UTC", description="The shop's time zone, in which an event has its day: an IANA name.")
    hold_on_warnings: bool = Field(False, description="Do not publish data that differs from the months before by more than is usual.")
    code_commit: str = Field("", description="The commit of the code, for the manifest.")


def main(arguments: Sequence[str]) -> int:
    """Runs the job and leaves its result; returns the exit code."""
    stamps = structlog.processors.TimeStamper(fmt="iso")
    structlog.configure(processors=[structlog.processors.add_log_level, stamps, structlog.processors.JSONRenderer()])
    job = EtlArguments(_cli_parse_args=list(arguments))
    bucket = connect(job.store_url, job.region, job.bucket)
    try:
        manifest, published = run(job, bucket)
    except Exception as error:
        failure = etl_error(error)
        log.error("failed", reason=failure.reason, message=failure.message)
        write_result(bucket, job.job_id, {"failure": {"reason": failure.reason, "message": failure.message}})
        if failure is error:
            return 1
        raise
    for warning in manifest.warnings():
        log.warning("data quality", month=warning.month, measure=warning.measure, message=warning.sentence())
    result = summarize(manifest, published)
    log.info("succeeded", **result)
    write_result(bucket, job.job_id, {"etl": result})
    return 0


def run(job: EtlArguments, bucket: Bucket) -> tuple[Manifest, bool]:
    """Runs the ETL; returns the manifest that is then published, and whether this job published it."""
    now = datetime.now(UTC)
    spec = RunSpec(
        run_id=f"{now:%Y%m%dT%H%M%S}-{token_hex(4)}",
        job_id=job.job_id,
        create_time=now,
        code_commit=job.code_commit,
        raw_root=job.raw_root.rstrip("/"),
        through_date=job.through_date,
        full=job.full,
        reject_share=job.reject_share,
        hold_on_warnings=job.hold_on_warnings,
        rules=CleaningRules(version=CLEANING_VERSION, first_date=job.first_date, future_days=job.future_days, time_zone=job.time_zone),
    )
    spark = create_session(f"etl {job.job_id}", job.store_url, job.region)
    try:
        return EtlRun(spec, spark, bucket).publish()
    finally:
        spark.stop()


def summarize(manifest: Manifest, published: bool) -> dict[str, object]:
    """The job's result as an `EtlResult` of the jobs service's contract, in JSON."""
    counts = manifest.counts
    return {
        "row_count": counts.lines_in,
        "sale_count": counts.sale_lines,
        "duplicate_count": counts.duplicates,
        "rejects": [{"reason": reason, "line_count": lines} for reason, lines in counts.refused.items()],
        "file_count": len(manifest.raw_files),
        "first_date": str(manifest.first_date),
        "through_date": str(manifest.through_date),
        "data_hash": manifest.dataset().sha256,
        "published": published,
    }


def etl_error(error: Exception) -> EtlError:
    """Any error of a run as one with a reason and a message for the user."""
    if isinstance(error, EtlError):
        return error
    if isinstance(error, UnreadableFile):
        return EtlError("RAW_FILE_UNREADABLE", error.message)
    if isinstance(error, PublishConflict):
        return EtlError("APPLICATION_FAILED", str(error))
    of_spark = isinstance(error, (Py4JJavaError, PySparkException)) and any(fault in str(error) for fault in NETWORK_FAULTS)
    if of_spark or isinstance(error, (StoreUnavailable, HTTPError, OSError)):
        return EtlError("ENGINE_UNAVAILABLE", "HDFS or the store could not be reached.")
    return EtlError("APPLICATION_FAILED", "The application failed with an internal error; see its log.")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
