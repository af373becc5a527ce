"""The steps that clean the raw sales and import the products."""

import asyncio
import sys
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlencode

from google.protobuf import json_format

from hashiramart.jobs.v1 import jobs_pb2
from lake.columns import CATEGORY, NAME, PRICE_CENTS, PRODUCT_ID
from lake.errors import LakeError, UnreadableFile
from lake.landing.landing import content_sha256
from lake.landing.mapping import InvalidMapping, read_mapping
from lake.reading import read_published
from services.jobs.terminal import outcome, progress_line
from stack.demo.client import Json, RestError
from stack.demo.context import STAFF, DemoContext, DemoError, say


async def clean_data(demo: DemoContext) -> None:
    """Lands the raw sales and cleans them by an ETL job, unless the clean data contains them."""
    file, mapping_file = demo.settings.demo_file, demo.settings.demo_mapping
    try:
        mapping = read_mapping(mapping_file) if mapping_file is not None else None
        sha256 = await asyncio.to_thread(content_sha256, file, mapping, lambda *_: None)
    except (UnreadableFile, InvalidMapping) as error:
        raise DemoError(str(error)) from error
    if not await _is_clean(demo, sha256):
        options = ["--mapping", str(mapping_file)] if mapping_file is not None else []
        await demo.execute([sys.executable, "-m", "spark.land", str(file), *options], "jobs-worker")
        say("data", outcome(await _run_etl(demo)))
    if not await _is_clean(demo, sha256):
        raise DemoError(f"There is no clean data of {file.name}.")
    say("data", f"{file.name} is clean")


async def import_products(demo: DemoContext) -> None:
    """Imports the products of the clean data into the catalogue, unless it contains the last of them."""
    products = (await demo.table("products")).sort_by(PRODUCT_ID).to_pylist()
    staff = await demo.sign_in(STAFF)
    # Products are imported in order, so if the last one exists, all do.
    with suppress(RestError):
        await staff.call("GET", f"/products/{products[-1][PRODUCT_ID]}")
        say("catalogue", "is filled")
        return
    report = await staff.send_lines("/products:import", map(_product, products))
    say("catalogue", f"{report['created_count']:,} new products, {report['failed_count']:,} left out")


async def has_customers(demo: DemoContext) -> bool:
    """Whether the clean data names customers."""
    manifest, _ = await asyncio.to_thread(read_published, demo.bucket)
    return bool(manifest.contents("interactions"))


async def _is_clean(demo: DemoContext, sha256: str) -> bool:
    """Whether the clean data contains a raw file with this content."""
    with suppress(LakeError):
        manifest, _ = await asyncio.to_thread(read_published, demo.bucket)
        return any(file.sha256 == sha256 for file in manifest.raw_files)
    return False


async def _run_etl(demo: DemoContext) -> jobs_pb2.Job:
    """Watches the ETL job that is running, or else a new one, until it has ended."""
    staff = await demo.sign_in(STAFF)
    unfinished = urlencode({"kind": "JOB_KIND_ETL", "states": ["JOB_STATE_QUEUED", "JOB_STATE_RUNNING"]}, doseq=True)
    jobs = (await staff.call("GET", f"/jobs?{unfinished}"))["jobs"]
    job = _job(jobs[0] if jobs else await staff.call("POST", "/jobs/etl", json={}))
    show = _EtlProgress()
    while not job.HasField("end_time"):
        async for event in staff.lines(f"/jobs/{job.id}:watch"):
            if event.get("job"):
                job = _job(event["job"])
                show.update(job)
        # A stream ends with the token of its caller, which a busy machine may outlast.
        staff = await demo.sign_in(STAFF)
    show.close()
    return job


class _EtlProgress:
    """Shows the progress of the ETL: in one line on a terminal, else in a line for each stage."""

    def __init__(self) -> None:
        self._terminal = sys.stdout.isatty()
        self._stages = {""}

    def update(self, job: jobs_pb2.Job) -> None:
        if self._terminal:
            print(f"\r\033[K{'etl':16}{progress_line(job)}", end="", flush=True)
        elif job.stage not in self._stages:
            self._stages.add(job.stage)
            say("etl", job.stage)

    def close(self) -> None:
        if self._terminal:
            print("\r\033[K", end="")


def _product(row: Mapping[str, object]) -> Json:
    """A product of the clean data in the catalogue's format."""
    return {"id": row[PRODUCT_ID], **{name: row[name] for name in (NAME, CATEGORY, PRICE_CENTS, "stock")}}


def _job(content: Json) -> jobs_pb2.Job:
    return json_format.ParseDict(content, jobs_pb2.Job())
