"""The demo: from nothing to a shop with a past, with products, people and models.

What is there already is left as it is, so that a demo which was interrupted goes on where it was, and a second one has nothing to do.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

import httpx
import pyarrow as pa
from google.protobuf import json_format
from minio.credentials.providers import StaticProvider

from hashiramart.jobs.v1 import jobs_pb2
from lake.bucket import connect
from lake.columns import CATEGORY, CUSTOMER_NUMBER, DATE, NAME, PRICE_CENTS, PRODUCT_ID
from lake.errors import LakeError
from lake.reading import read_published, read_table
from ml.pipeline.progress import Progress
from services.jobs.terminal import outcome, progress_line
from spark.errors import UnreadableFile
from spark.land import check_file
from stack import credentials, training
from stack.demo.shop import Account, Caller, Json, Refused, Shop
from stack.engines import minio
from stack.processes.definitions import object_store_of, processes
from stack.processes.process import Process
from stack.settings import ROOT, Settings

MODELS = ("recommender", "forecaster")
SHOPPER, STAFF, ADMIN = "SHOPPER", "STAFF", "ADMIN"
# How long a service may take to answer from a model that was promoted.
SERVED_SECONDS = 60
# How often the progress of a training is read.
PROGRESS_SECONDS = 0.5


class Unable(Exception):
    """The demo cannot go on, and this is why."""


def main() -> None:
    """Fills a stack that is up, shows what its models say, and tells who may sign in."""
    failed: list[str] = []
    try:
        asyncio.run(fill(Settings()))
    except* (Unable, Refused, LakeError, httpx.HTTPError) as failures:
        failed = [str(failure) or type(failure).__name__ for failure in leaves(failures)]
    # What is raised inside of `except*` comes out as a group, with a traceback.
    if failed:
        sys.exit("\n".join([*failed, "The same command goes on from here."]))


async def fill(settings: Settings) -> None:
    # Else a training would be left behind.
    if work := asyncio.current_task():
        for ending in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(ending, work.cancel)
    async with Shop(f"http://127.0.0.1:{settings.gateway_port}") as shop:
        demo = Demo(settings, processes(settings), shop)
        await demo.furnish()
        await demo.show()


class Demo:
    """The demo on a stack that is up."""

    def __init__(self, settings: Settings, processes: Sequence[Process], shop: Shop) -> None:
        self._settings = settings
        self._environments = {process.name: process.program.environment for process in processes}
        self._addresses = {process.name: process.address for process in processes}
        self._shop = shop
        self._store = object_store_of(settings)
        keys = StaticProvider(*self._store.keys["training"])
        self._bucket = connect(self._store.endpoint, self._store.region, settings.lake_bucket, keys)
        self._sign_ins = settings.stack_folder / "demo.env"
        self._accounts = accounts(self._sign_ins)

    async def furnish(self) -> None:
        """Lets there be people, clean data, products and models."""
        await self._people()
        await self._clean_data()
        async with asyncio.TaskGroup() as tasks:
            for work in (self._catalogue(), self._past(), *(self._champion(model) for model in MODELS)):
                tasks.create_task(work)

    async def show(self) -> None:
        """Says what the models answer, where to go on, and who may sign in."""
        shopper, staff = await self._sign_in(SHOPPER), await self._sign_in(STAFF)
        wanted = await shopper.call("GET", "/recommendations/me?page_size=5")
        forecast = await staff.call("GET", "/forecasts/sales?granularity=week&levels=80")
        print("\nWhat the shopper is likely to want next:")
        for each in wanted["recommendations"]:
            print(f"  {each['product']['name']:38.38}{each['reason']['text']}")
        print("\nWhat the shop is likely to sell, in units:")
        for point in forecast["points"]:
            [band] = point["bands"]
            print(f"  from {point['date']}  {point['mean']:>10,.0f}   {band['level']} % sure: {band['lower']:,.0f} to {band['upper']:,.0f}")
        print("\nWhere to go on:")
        for address, page in self._pages():
            print(f"  {address:32}{page}")
        print(f"\nWho may sign in (kept in {self._sign_ins}):")
        for who, account in self._accounts.items():
            print(f"  {who.lower():10}{account.email:24}{account.password}")

    async def _people(self) -> None:
        """Somebody of each role."""
        if not await self._has_account(ADMIN):
            account = self._accounts[ADMIN]
            create = [sys.executable, "-m", "services.auth.admin", "create-admin", "--email", account.email]
            await execute(create, self._environments["auth"], text=account.password)
        for who in (STAFF, SHOPPER):
            if not await self._has_account(who):
                await self._shop.sign_up(self._accounts[who], who.capitalize())
        user = await (await self._sign_in(STAFF)).call("GET", "/users/me")
        if user["role"] != "ROLE_STAFF":
            await self._change(user, role="staff")
        say("people", "an admin, staff and a shopper are known")

    async def _clean_data(self) -> None:
        """What the ETL makes of the raw sales."""
        file = self._settings.demo_file
        try:
            _, sha256 = await asyncio.to_thread(check_file, file, lambda *_: None)
        except UnreadableFile as refused:
            raise Unable(refused.message) from refused
        if not await self._is_clean(sha256):
            await execute([sys.executable, "-m", "spark.land", str(file)], self._environments["jobs-worker"])
            say("data", outcome(await self._etl()))
        if not await self._is_clean(sha256):
            raise Unable(f"There is no clean data of {file.name}.")
        say("data", f"{file.name} is clean")

    async def _etl(self) -> jobs_pb2.Job:
        """The ETL that was under way, or else a new one, as it has ended."""
        staff = await self._sign_in(STAFF)
        alive = urlencode({"kind": "JOB_KIND_ETL", "states": ["JOB_STATE_QUEUED", "JOB_STATE_RUNNING"]}, doseq=True)
        found = (await staff.call("GET", f"/jobs?{alive}"))["jobs"]
        job = as_job(found[0] if found else await staff.call("POST", "/jobs/etl", json={}))
        terminal, shown = sys.stdout.isatty(), {""}
        async for event in staff.lines(f"/jobs/{job.id}:watch"):
            if event.get("job"):
                job = as_job(event["job"])
                if terminal:
                    print(f"\r\033[K{'etl':16}{progress_line(job)}", end="", flush=True)
                elif job.stage not in shown:
                    shown.add(job.stage)
                    say("etl", job.stage)
        if terminal:
            print("\r\033[K", end="")
        return job

    async def _catalogue(self) -> None:
        """What was ever sold, as products."""
        products = (await self._table("products")).sort_by(PRODUCT_ID).to_pylist()
        staff = await self._sign_in(STAFF)
        # They are taken in by their order, so with the last one all are there.
        with suppress(Refused):
            await staff.call("GET", f"/products/{products[-1][PRODUCT_ID]}")
            say("catalogue", "is filled")
            return
        report = await staff.send_lines("/products:import", map(as_product, products))
        say("catalogue", f"{report['created_count']:,} new products, {report['failed_count']:,} left out")

    async def _past(self) -> None:
        """The shopper is one of those whose purchases are known."""
        user = await (await self._sign_in(SHOPPER)).call("GET", "/users/me")
        number = user["customer_number"] or loyal_customer(await self._table("interactions"))
        if not user["customer_number"]:
            await self._change(user, customer_number=number)
        say("shopper", f"is customer {number} of the sales history")

    async def _champion(self, model: str) -> None:
        """A model that has passed the gate."""
        if await self._promoted(model) is None:
            await self._train(model)
        deadline = time.monotonic() + SERVED_SECONDS
        while (champion := await self._promoted(model)) and not champion["serving"]:
            if time.monotonic() > deadline:
                raise Unable(f"The {model} does not answer from its champion; `make logs S={model}` may say why.")
            await asyncio.sleep(1)
        if champion is None:
            raise Unable(f"The {model} did not pass the gate; {self._log(model)} says why.")
        say(model, f"version {champion['version']} is the champion, and answers")

    async def _promoted(self, model: str) -> Json | None:
        try:
            return await (await self._sign_in(STAFF)).call("GET", f"/models/{model}")
        except Refused as refused:
            if refused.reason != "NO_MODEL":
                raise
            return None

    async def _train(self, model: str) -> None:
        """Runs the pipeline for a model, by the quick recipe."""
        training.configure(self._settings, self._store)
        with self._log(model).open("w") as log, TemporaryDirectory(prefix="demo-") as folder:
            progress = Path(folder, "progress.jsonl")
            progress.touch()
            environment = training.environment(self._settings, self._store)
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "ml.pipeline", "--recipe", "quick", model),
                cwd=ROOT,
                env=os.environ | environment | {"PYTHONUNBUFFERED": "1", "PIPELINE_PROGRESS": str(progress)},
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
                # A group of its own, which can be stopped as a whole.
                start_new_session=True,
            )
            try:
                async for step in follow(progress, process):
                    say(model, step.message)
                if process.returncode:
                    raise Unable(f"The {model} could not be trained; {self._log(model)} says why.")
            finally:
                if process.returncode is None:
                    os.killpg(process.pid, signal.SIGTERM)
                    await process.wait()

    def _log(self, model: str) -> Path:
        return self._settings.logs / f"training-{model}.log"

    def _pages(self) -> Iterator[tuple[str, str]]:
        """What there is to look at."""
        yield f"{self._addresses['gateway']}/docs", "every call, to be tried: sign in there under Authorize"
        names = {
            "mlflow": "MLflow: what was trained, and which models are promoted",
            "minio": f"MinIO, the store: user {minio.ROOT_USER}, password MINIO_ROOT_PASSWORD in secrets.env",
            "namenode": "HDFS, with the raw sales",
            "resourcemanager": "YARN",
            "history": "Spark's history",
        }
        for name, page in names.items():
            if name in self._addresses:
                yield self._addresses[name], page

    async def _is_clean(self, sha256: str) -> bool:
        """Whether the clean data is made of a file with this content, and maybe of others."""
        with suppress(LakeError):
            manifest, _ = await asyncio.to_thread(read_published, self._bucket)
            return any(file.sha256 == sha256 for file in manifest.raw_files)
        return False

    async def _table(self, name: str) -> pa.Table:
        """A table of the clean data."""
        manifest, _ = await asyncio.to_thread(read_published, self._bucket)
        return await asyncio.to_thread(read_table, self._bucket, manifest, name)

    async def _has_account(self, who: str) -> bool:
        try:
            await self._sign_in(who)
        except Refused as refused:
            if refused.reason != "invalid_grant":
                raise
            return False
        return True

    async def _sign_in(self, who: str) -> Caller:
        return await self._shop.sign_in(self._accounts[who])

    async def _change(self, user: Json, **fields: str) -> None:
        await (await self._sign_in(ADMIN)).call("PATCH", f"/users/{user['id']}", json=fields)


def accounts(file: Path) -> dict[str, Account]:
    """Those of the demo, by who has them. Passwords are made once, and kept in this file beside the e-mail addresses."""
    people = (SHOPPER, STAFF, ADMIN)
    emails = {f"{who}_EMAIL": f"{who.lower()}@example.com" for who in people}
    known = credentials.kept(file, [f"{who}_PASSWORD" for who in people], **emails)
    return {who: Account(known[f"{who}_EMAIL"], known[f"{who}_PASSWORD"]) for who in people}


def loyal_customer(interactions: pa.Table) -> str:
    """The number of the customer who bought on the most days; of several, the first."""
    days = interactions.group_by([CUSTOMER_NUMBER, DATE]).aggregate([]).group_by(CUSTOMER_NUMBER).aggregate([(DATE, "count")])
    number: str = days.sort_by([(f"{DATE}_count", "descending"), (CUSTOMER_NUMBER, "ascending")])[CUSTOMER_NUMBER][0].as_py()
    return number


def as_product(row: Mapping[str, object]) -> Json:
    """A product of the clean data, as the catalogue takes it."""
    return {"id": row[PRODUCT_ID], **{name: row[name] for name in (NAME, CATEGORY, PRICE_CENTS, "stock")}}


def as_job(answer: Json) -> jobs_pb2.Job:
    return json_format.ParseDict(answer, jobs_pb2.Job())


async def execute(command: Sequence[str], environment: Mapping[str, str], text: str = "") -> None:
    """Runs a command of ours, with `text` on its standard input. Raises `Unable`."""
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=os.environ | environment, stdin=asyncio.subprocess.PIPE)
    await process.communicate(text.encode())
    if process.returncode:
        raise Unable(f"`{' '.join(['python', *command[1:]])}` failed.")


async def follow(file: Path, process: asyncio.subprocess.Process) -> AsyncIterator[Progress]:
    """Yields the progress that the pipeline appends to a file, until its process has ended."""
    with file.open() as lines:
        ended = False
        while not ended:
            with suppress(TimeoutError):
                async with asyncio.timeout(PROGRESS_SECONDS):
                    await process.wait()
            # Whatever was written before it ended is read below.
            ended = process.returncode is not None
            for line in lines:
                yield Progress.model_validate_json(line)


def leaves(group: BaseExceptionGroup[Exception]) -> Iterator[Exception]:
    """What was raised, however it was grouped."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from leaves(error)
        else:
            yield error


def say(what: str, text: str) -> None:
    print(f"{what:16}{text}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit("Interrupted; the same command goes on from here.")
