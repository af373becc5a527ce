"""Compares the ETL on YARN with DuckDB in one process, on one, four and sixteen copies of the demo's data: `python -m benchmarks.etl`."""

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
from lake.landing.landing import land
from services.jobs import package
from stack.engines import hadoop, spark
from tests.engines.hadoop import Hdfs, Yarn
from tests.engines.stores import Minio

TITLE = "ETL of copies of the demo's data to the same store, from submission to the end"
DATA = ROOT / "datasets" / "online_retail_ii.csv.gz"
# The runs of each contender, by the number of copies.
ROUNDS = {1: 3, 4: 2, 16: 1}
# Between one copy and the next: a little more than the two years of the data, in whole weeks.
SHIFT = timedelta(weeks=104)
# The day in a line; no description contains one.
DAY = re.compile(r"\b20\d\d-\d\d-\d\d(?= )")
SAMPLE_SECONDS = 1.0
# The processes of a YARN application, by the class that each JVM runs.
ROLES = {"driver": "ApplicationMaster", "executor": "YarnCoarseGrainedExecutorBackend"}


class EtlSample(NamedTuple):
    """The measurements of one run."""

    copies: int
    lines: int
    seconds: float
    """Wall time from submission to the end."""
    cpu_seconds: float
    memory_mb: dict[str, float]
    """The largest memory by role."""
    counts: dict[str, int]
    """Lines by what became of them."""


def compare() -> dict[str, list[EtlSample]]:
    """The samples of both contenders, in turns. Both use all cores, the same files and the same store."""
    samples: dict[str, list[EtlSample]] = {"DuckDB": [], "HashiraMart": []}
    with tempfile.TemporaryDirectory(prefix="etl-", dir=ROOT / ".local") as temporary, ExitStack() as running:
        folder = Path(temporary)
        for name in ("hadoop", "minio", "raw"):
            (folder / name).mkdir()
        hdfs = running.enter_context(Hdfs(folder / "hadoop"))
        minio = running.enter_context(Minio(folder / "minio"))
        yarn = running.enter_context(Yarn(hdfs, minio.store))
        for copies, rounds in ROUNDS.items():
            for file in sorted(_write_copies(folder / "raw", copies)):
                land(file, f"{hadoop.raw_root(yarn.settings)}-{copies}", datetime.now(UTC).date(), lambda *_: None)
            for _ in range(rounds):
                duckdb, ours = _run_duckdb(folder / "raw", copies, minio, yarn), _run_on_yarn(yarn, minio, copies, folder)
                if duckdb.counts != ours.counts:
                    raise RuntimeError(f"they differ: {duckdb.counts}, {ours.counts}")
                samples["DuckDB"].append(duckdb)
                samples["HashiraMart"].append(ours)
    return samples


def show(samples: Mapping[str, Sequence[EtlSample]]) -> None:
    """Prints the medians of each contender and each amount of data, and how they grow with it."""
    print(f"\n{TITLE}\n\n{'':14}{'copies':>8}{'lines':>12}{'seconds':>10}{'CPU s':>8}  memory MB")
    for name, own in samples.items():
        for copies in ROUNDS:
            rounds = [sample for sample in own if sample.copies == copies]
            seconds = statistics.median(each.seconds for each in rounds)
            cpu_seconds = statistics.median(each.cpu_seconds for each in rounds)
            memory = ", ".join(f"{role} {max(each.memory_mb.get(role, 0) for each in rounds):.0f}" for role in rounds[0].memory_mb)
            print(f"{name:14}{copies:8}{rounds[0].lines:12,}{seconds:10.1f}{cpu_seconds:8.1f}  {memory}")
    for name, own in samples.items():
        fixed, slope = fit_line(own)
        print(f"{name:14}{fixed:6.1f} s and {slope:5.2f} s per million lines")
    print(f"slope: {fit_line(samples['HashiraMart'])[1] / fit_line(samples['DuckDB'])[1]:.1f} ×")


def fit_line(samples: Sequence[EtlSample]) -> tuple[float, float]:
    """The fixed cost in seconds, and the slope in seconds per million lines, fitted to the median of each amount of data."""
    seconds: dict[int, list[float]] = defaultdict(list)
    for sample in samples:
        seconds[sample.lines].append(sample.seconds)
    slope, fixed = statistics.linear_regression([lines / 1e6 for lines in seconds], [statistics.median(each) for each in seconds.values()])
    return fixed, slope


class _Usage:
    """The resources that an application on this machine has used so far."""

    def __init__(self) -> None:
        self.memory_mb: dict[str, float] = defaultdict(float)
        self._cpu_seconds: dict[int, float] = {}

    @property
    def cpu_seconds(self) -> float:
        return sum(self._cpu_seconds.values())

    def sample(self, folder: Path) -> None:
        """Adds what the processes that run below a folder of the NodeManager use now."""
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


def _run_duckdb(raw: Path, copies: int, minio: Minio, yarn: Yarn) -> EtlSample:
    credentials = {"AWS_SHARED_CREDENTIALS_FILE": str(spark.credentials_file(yarn.settings))}
    command = [sys.executable, "-m", "benchmarks.duckdb_etl", str(raw), minio.store.endpoint, "lake"]
    began = time.monotonic()
    process = subprocess.run(command, check=True, env=os.environ | credentials, stdout=subprocess.PIPE, text=True)
    seconds = time.monotonic() - began
    result = json.loads(process.stdout)
    counts = dict(sorted(result["counts"].items()))
    sample = EtlSample(copies, sum(counts.values()), seconds, result["cpu_seconds"], {"process": result["memory_mb"]}, counts)
    _print_sample("DuckDB", sample)
    return sample


def _run_on_yarn(yarn: Yarn, minio: Minio, copies: int, folder: Path) -> EtlSample:
    code, job = folder / "code.zip", f"bench-{copies}"
    package.pack(code)
    arguments = ["--job-id", job, "--raw-root", f"hdfs:///hashiramart/raw-{copies}", "--store-url", minio.store.endpoint, "--full"]
    options = ["--conf", "spark.yarn.submit.waitAppCompletion=true", "--py-files", str(code)]
    command = [*spark.submit_command(yarn.settings), *options, str(package.SCRIPT), *arguments]
    environment = os.environ | spark.submit_environment(yarn.settings)
    began = time.monotonic()
    with _sample_usage(yarn.settings.data / "nodemanager") as usage:
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        seconds = time.monotonic() - began
    result = json.loads(minio.client("spark").get_object("lake", f"jobs/{job}/result.json").data)["etl"]
    counts = {"sale": result["sale_count"], "repeated": result["duplicate_count"]}
    counts |= {reject["reason"]: reject["line_count"] for reject in result["rejects"]}
    sample = EtlSample(copies, result["row_count"], seconds, usage.cpu_seconds, dict(usage.memory_mb), dict(sorted(counts.items())))
    _print_sample("HashiraMart", sample)
    return sample


def _print_sample(name: str, sample: EtlSample) -> None:
    print(f"{sample.copies:3} × {name:12} {sample.seconds:6.1f} s, CPU {sample.cpu_seconds:6.1f} s, {sample.memory_mb}", flush=True)


@contextmanager
def _sample_usage(folder: Path) -> Iterator[_Usage]:
    """Samples, during a `with` block, what the processes below a folder of the NodeManager use."""
    usage, ended = _Usage(), threading.Event()

    def sample() -> None:
        while not ended.wait(SAMPLE_SECONDS):
            usage.sample(folder)

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        yield usage
    finally:
        ended.set()
        sampler.join()


def _write_copies(folder: Path, copies: int) -> Iterator[Path]:
    """Files of the demo's data, each with the dates of the one before moved on; existing files are kept."""
    with gzip.open(DATA, "rt", encoding="utf-8", newline="") as packed:
        lines = packed.readlines()
    for number in range(copies):
        file = folder / f"sales-{number:02}.csv"
        if not file.exists():
            shift_day = cache(partial(_shift_day, number * SHIFT))
            with file.open("w", encoding="utf-8", newline="") as copy:
                copy.writelines(DAY.sub(lambda match: shift_day(match[0]), line, count=1) for line in lines)  # noqa: B023 (called at once)
        yield file


def _shift_day(shift: timedelta, day: str) -> str:
    return str(date.fromisoformat(day) + shift)


if __name__ == "__main__":
    show(compare())
