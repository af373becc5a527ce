"""The ETL job: raw sales and events to clean data, published as one.

    spark-submit [...] --py-files FILES spark/etl.py --job-id ID --raw-root hdfs:///hashiramart/raw --store-url http://127.0.0.1:9000

What came of it, or why it failed, is left at `jobs/<job id>/result.json` in the bucket.
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

from lake.errors import Overtaken
from lake.manifest import Manifest
from lake.publishing import Lake, connect
from spark.errors import Refused
from spark.run import Order, Run
from spark.session import session

log = structlog.get_logger()


class Job(BaseSettings, env_prefix="ETL_", cli_kebab_case=True, cli_implicit_flags=True, frozen=True):
    """One run of the ETL. Keys for the store are no arguments: see spark/session.py."""

    job_id: str = Field(description="The job's id: its result is left under it.")
    raw_root: str = Field(description="Where the raw zone is, such as hdfs:///hashiramart/raw.")
    store_url: str = Field(description="Where the S3 store answers.")
    region: str = Field("us-east-1", description="The store's region.")
    bucket: str = Field("lake", description="The bucket of the clean data.")
    through_date: date | None = Field(None, description="Up to which day recorded events are taken in; else the last day of sales.")
    full: bool = Field(False, description="Clean every month anew, not only those that new files touch.")
    reject_share: float = Field(0.1, gt=0, le=1, description="Which share of a file's lines may be refused.")
    code_commit: str = Field("", description="The commit of the code, for the manifest.")


def main(arguments: Sequence[str]) -> int:
    """Runs the job and leaves its result; answers the exit code."""
    stamps = structlog.processors.TimeStamper(fmt="iso")
    structlog.configure(processors=[structlog.processors.add_log_level, stamps, structlog.processors.JSONRenderer()])
    job = Job(_cli_parse_args=list(arguments))
    lake = connect(job.store_url, job.region, job.bucket)
    try:
        manifest, published = run(job, lake)
    except Exception as error:
        failure = refusal(error)
        log.error("failed", reason=failure.reason, message=failure.message)
        lake.report(job.job_id, {"failure": {"reason": failure.reason, "message": failure.message}})
        if failure is error:
            return 1
        raise
    result = summary(manifest, published)
    log.info("succeeded", **result)
    lake.report(job.job_id, {"etl": result})
    return 0


def run(job: Job, lake: Lake) -> tuple[Manifest, bool]:
    """The manifest of the clean data as the job leaves it, and whether the job published it."""
    now = datetime.now(UTC)
    order = Order(
        run_id=f"{now:%Y%m%dT%H%M%S}-{token_hex(4)}",
        job_id=job.job_id,
        create_time=now,
        code_commit=job.code_commit,
        raw_root=job.raw_root.rstrip("/"),
        through_date=job.through_date,
        full=job.full,
        reject_share=job.reject_share,
    )
    spark = session(f"etl {job.job_id}", job.store_url, job.region)
    try:
        return Run(order, spark, lake).publish()
    finally:
        spark.stop()


def summary(manifest: Manifest, published: bool) -> dict[str, object]:
    """What the jobs service says of an ETL job, in the words of its contract."""
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


def refusal(error: Exception) -> Refused:
    """The error in the words of whoever runs the job."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, Overtaken):
        return Refused("APPLICATION_FAILED", str(error))
    of_spark = isinstance(error, (Py4JJavaError, PySparkException)) and any(fault in str(error) for fault in NETWORK_FAULTS)
    if of_spark or isinstance(error, (HTTPError, OSError)):
        return Refused("ENGINE_UNAVAILABLE", "HDFS or the store could not be reached.")
    return Refused("APPLICATION_FAILED", "The application ended with a fault of its own. The log says which.")


NETWORK_FAULTS = ("java.net.", "BlockMissingException", "SdkClientException", "StandbyException", "SafeModeException")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
