"""The ETL on YARN beside DuckDB in one process, on one, four and sixteen copies of the demo's data: `python -m benchmarks.etl`."""

import gzip
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks.programs import ROOT
from services.jobs import package
from spark.land import land
from stack.engines import hadoop, spark
from tests.engines.hadoop import Hdfs, Yarn
from tests.engines.stores import Minio

TITLE = "ETL of copies of the demo's data to the same store, from the order to the end"
DATA = ROOT / "datasets" / "online_retail_ii.csv.gz"
# How often each amount of data is cleaned by each contender, in turns.
ROUNDS = {1: 3, 4: 2, 16: 1}
# Between a copy and the next. Two years and a little, in whole weeks.
SHIFT = timedelta(weeks=104)
SAMPLE_SECONDS = 1.0
# What an application on YARN consists of, by the class that each of its machines runs.
ROLES = {"driver": "ApplicationMaster", "executor": "YarnCoarseGrainedExecutorBackend"}


class Sample(NamedTuple):
    """One cleaning: how long it took from the order to the end, what processor time, and what memory at the most, by role."""

    copies: int
    lines: int
    seconds: float
    cpu_seconds: float
    memory_mb: dict[str, float]
    counts: dict[str, int]


def compare() -> dict[str, list[Sample]]:
    """The samples of both contenders. Both have all cores, the same files and the same store."""
    samples: dict[str, list[Sample]] = {"DuckDB": [], "HashiraMart": []}
    with tempfile.TemporaryDirectory(prefix="etl-", dir=ROOT / ".local") as folder, ExitStack() as running:
        place = Path(folder)
        for name in ("hadoop", "minio", "raw"):
            (place / name).mkdir()
        hdfs = running.enter_context(Hdfs(place / "hadoop"))
        minio = running.enter_context(Minio(place / "minio"))
        yarn = running.enter_context(Yarn(hdfs, minio.store))
        credentials = {"AWS_SHARED_CREDENTIALS_FILE": str(spark.credentials_file(yarn.settings))}
        for copies, rounds in ROUNDS.items():
            files = sorted(write_copies(place / "raw", copies))
            raw_root = f"{hadoop.raw_root(yarn.settings)}-{copies}"
            for file in files:
                land(file, raw_root, datetime.now(UTC).date(), lambda *_: None)
            for _ in range(rounds):
                for name, sample in (
                    ("DuckDB", by_duckdb(place / "raw", copies, minio, credentials)),
                    ("HashiraMart", on_yarn(yarn, minio, copies, place)),
                ):
                    samples[name].append(sample)
                    print(
                        f"{copies:3} × {name:12} {sample.seconds:6.1f} s, CPU {sample.cpu_seconds:6.1f} s, {sample.memory_mb}", flush=True
                    )
                if samples["DuckDB"][-1].counts != samples["HashiraMart"][-1].counts:
                    raise RuntimeError(f"they differ: {samples['DuckDB'][-1].counts}, {samples['HashiraMart'][-1].counts}")
    return samples


def by_duckdb(raw: Path, copies: int, minio: Minio, credentials: Mapping[str, str]) -> Sample:
    command = [sys.executable, "-m", "benchmarks.duckdb_etl", str(raw), minio.store.endpoint, "lake"]
    began = time.monotonic()
    answer = subprocess.run(command, check=True, env=os.environ | credentials, stdout=subprocess.PIPE, text=True)
    seconds = time.monotonic() - began
    told = json.loads(answer.stdout)
    counts = dict(sorted(told["counts"].items()))
    return Sample(copies, sum(counts.values()), seconds, told["cpu_seconds"], {"process": told["memory_mb"]}, counts)


def on_yarn(yarn: Yarn, minio: Minio, copies: int, folder: Path) -> Sample:
    code, job = folder / "code.zip", f"bench-{copies}"
    package.pack(code)
    told = ["--job-id", job, "--raw-root", f"hdfs:///hashiramart/raw-{copies}", "--store-url", minio.store.endpoint, "--full"]
    waits = ["--conf", "spark.yarn.submit.waitAppCompletion=true"]
    command = [*spark.submit_command(yarn.settings), *waits, "--py-files", str(code), str(package.SCRIPT), *told]
    began = time.monotonic()
    with watching(yarn.settings.data / "nodemanager") as used:
        environment = os.environ | spark.submit_environment(yarn.settings)
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        seconds = time.monotonic() - began
    result = json.loads(minio.client("spark").get_object("lake", f"jobs/{job}/result.json").data)["etl"]
    counts = {"sale": result["sale_count"], "repeated": result["duplicate_count"]}
    counts |= {reject["reason"]: reject["line_count"] for reject in result["rejects"]}
    return Sample(copies, result["row_count"], seconds, used.cpu_seconds, dict(used.memory_mb), dict(sorted(counts.items())))


class Use:
    """What an application on this machine has used so far."""

    def __init__(self) -> None:
        self.memory_mb: dict[str, float] = defaultdict(float)
        self._cpu_seconds: dict[int, float] = {}

    @property
    def cpu_seconds(self) -> float:
        return sum(self._cpu_seconds.values())

    def look(self, folder: Path) -> None:
        """Takes in what the processes are at now that run below a folder of the NodeManager."""
        for process in psutil.process_iter(["cmdline"]):
            words = process.info["cmdline"] or [""]
            role = next((role for role, name in ROLES.items() if words[0].endswith("java") and any(name in word for word in words)), None)
            if role is None or not any(str(folder) in word for word in words):
                continue
            try:
                members = [process, *process.children(recursive=True)]
                self.memory_mb[role] = max(self.memory_mb[role], round(sum(each.memory_full_info().pss for each in members) / 1e6))
                self._cpu_seconds |= {each.pid: sum(each.cpu_times()[:2]) for each in members}
            except psutil.NoSuchProcess:
                continue


@contextmanager
def watching(folder: Path) -> Iterator[Use]:
    """What runs below a folder of the NodeManager for the length of a `with` block."""
    used, over = Use(), threading.Event()

    def watch() -> None:
        while not over.wait(SAMPLE_SECONDS):
            used.look(folder)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield used
    finally:
        over.set()
        watcher.join()


def write_copies(folder: Path, copies: int) -> Iterator[Path]:
    """Files of the demo's data, the dates of each moved on from those of the one before; what is there already stays."""
    with gzip.open(DATA, "rt", encoding="utf-8", newline="") as packed:
        lines = packed.readlines()
    for number in range(copies):
        file = folder / f"sales-{number:02}.csv"
        if not file.exists():
            moved = cache(partial(day_later, number * SHIFT))
            with file.open("w", encoding="utf-8", newline="") as copy:
                copy.writelines(DAY.sub(lambda found: moved(found[0]), line, count=1) for line in lines)  # noqa: B023 - called at once
        yield file


def day_later(shift: timedelta, day: str) -> str:
    return str(date.fromisoformat(day) + shift)


# The day of a line, which no description looks like.
DAY = re.compile(r"\b20\d\d-\d\d-\d\d(?= )")


def line_through(samples: Sequence[Sample]) -> tuple[float, float]:
    """The fixed cost in seconds, and the slope in seconds per million lines, of the medians of each amount."""
    of_amount: dict[int, list[float]] = defaultdict(list)
    for sample in samples:
        of_amount[sample.lines].append(sample.seconds)
    slope, fixed = statistics.linear_regression(
        [lines / 1e6 for lines in of_amount], [statistics.median(each) for each in of_amount.values()]
    )
    return fixed, slope


def show(samples: Mapping[str, Sequence[Sample]]) -> None:
    print(f"\n{TITLE}\n\n{'':14}{'copies':>8}{'lines':>12}{'seconds':>10}{'CPU s':>8}  memory MB")
    for name, own in samples.items():
        for copies in ROUNDS:
            rounds = [sample for sample in own if sample.copies == copies]
            seconds, cpu = (
                statistics.median(figure) for figure in zip(*((each.seconds, each.cpu_seconds) for each in rounds), strict=True)
            )
            memory = ", ".join(f"{role} {max(each.memory_mb.get(role, 0) for each in rounds):.0f}" for role in rounds[0].memory_mb)
            print(f"{name:14}{copies:8}{rounds[0].lines:12,}{seconds:10.1f}{cpu:8.1f}  {memory}")
    for name, own in samples.items():
        fixed, slope = line_through(own)
        print(f"{name:14}{fixed:6.1f} s and {slope:5.2f} s per million lines")
    print(f"slope: {line_through(samples['HashiraMart'])[1] / line_through(samples['DuckDB'])[1]:.1f} ×")


if __name__ == "__main__":
    show(compare())
