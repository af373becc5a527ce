"""The models' answers on the demo's data and one core, in process and over REST at a steady rate: `python -m benchmarks.answering`."""

import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlencode

import httpx
from dotenv import dotenv_values
from minio.credentials.providers import StaticProvider
from threadpoolctl import threadpool_limits

from benchmarks import programs
from benchmarks.measure import Contender, Load, Sample
from benchmarks.servers import resident_megabytes
from lake.bucket import connect
from ml.forecaster.forecasts import Scope
from ml.forecaster.model import Forecaster
from ml.pipeline.get_cleaned_data import fetch
from ml.recommender.model import Recommender
from ml.recommender.request import RecommendationRequest
from ml.registry.version import ModelVersion
from stack.processes.definitions import object_store_of
from stack.settings import Settings
from tests.e2e.stack import Stack, own_stack

TITLE = "Answers of the models on one core; REST is asked {} times a second"
PER_SECOND, SECONDS = 50, 20
ASKED = 500
Asked = TypeVar("Asked")
HORIZON_DAYS = 28


@dataclass(frozen=True)
class Alone:
    """What an answer cost in process, in milliseconds."""

    cpu_ms: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Answers:
    """What was measured, by what was asked for; the memory by service."""

    alone: dict[str, Alone]
    over_rest: dict[str, Sample]
    memory_mb: dict[str, float]


@dataclass(frozen=True)
class Demo:
    """The demo on a stack of its own."""

    stack: Stack
    # A folder with its clean data.
    clean: Path

    def model(self, name: str) -> Path:
        """The folder of the model that answers."""
        served = self.stack.folder / "data" / name
        return served / ModelVersion.model_validate_json((served / "served.json").read_bytes()).provenance.artifact_sha256

    def token(self) -> str:
        """Of somebody of the staff."""
        known = dotenv_values(self.stack.folder / "demo.env")
        form = {"grant_type": "password", "username": known["STAFF_EMAIL"], "password": known["STAFF_PASSWORD"]}
        token: str = httpx.post(f"{self.stack.rest}/auth/token", data=form, timeout=30).raise_for_status().json()["access_token"]
        return token


@contextmanager
def running() -> Iterator[Demo]:
    """The demo for the length of a `with` block; it takes minutes to be ready."""
    with tempfile.TemporaryDirectory(prefix="demo-", dir=programs.ROOT / ".local") as folder:
        own = own_stack(Path(folder) / "stack")
        stack = Stack({**own.environment, "GATEWAY_WORKERS": "1"}, ())
        try:
            command = [sys.executable, "-m", "stack", "demo"]
            subprocess.run(command, check=True, cwd=programs.ROOT, env=os.environ | stack.environment)
            settings = Settings.model_validate(dict(stack.environment))
            store = object_store_of(settings)
            clean = Path(folder) / "clean"
            fetch(connect(store.endpoint, store.region, settings.lake_bucket, StaticProvider(*store.keys["training"])), clean)
            yield Demo(stack, clean)
        finally:
            stack.down()


def compare(demo: Demo, built: Path, core: int, other_core: int) -> Answers:
    """All Python that an answer takes has `core`; what asks has the other."""
    recommender, forecaster = Recommender.load(demo.model("recommender")), Forecaster.load(demo.model("forecaster"))
    dice = random.Random(1)  # noqa: S311 no secret
    customers = dice.sample(sorted(recommender.customer_indices), ASKED)
    scopes = dice.choices(forecaster.scopes, k=ASKED)
    with alone_on(core):
        alone = {
            "recommendation": timed(
                lambda number: recommender.recommend(RecommendationRequest(number)).recommendations(range(10)), customers
            ),
            "forecast": timed(lambda scope: forecaster.forecast(scope, "units", HORIZON_DAYS, "day", (80, 95)), scopes),
        }
    paths = {
        "recommendation": [f"/customers/{number}/recommendations" for number in customers],
        "forecast": [f"/forecasts/sales?{urlencode(query(scope))}" for scope in scopes],
    }
    pids = demo.stack.pids()
    services = {"recommendation": "recommender", "forecast": "forecaster"}
    for name in ("gateway", *services.values()):
        subprocess.run(["taskset", "--all-tasks", "--cpu-list", "--pid", str(core), str(pids[name])], check=True, stdout=subprocess.DEVNULL)
    load, address = Load(built / "load", other_core), demo.stack.rest.removeprefix("http://")
    over_rest = {}
    for asked, service in services.items():
        contender = Contender(address, paths[asked], {"gateway": pids["gateway"], service: pids[service]}, demo.token())
        over_rest[asked] = load.steady(contender, PER_SECOND, SECONDS)
    memory = {name: resident_megabytes(pids[name]) for name in ("gateway", "auth", "catalog", "recommender", "forecaster", "jobs")}
    return Answers(alone, over_rest, memory)


def query(scope: Scope) -> dict[str, str]:
    """The query parameters of a scope."""
    parameter = {"product": "product_id", "category": "category", "country": "country"}.get(scope.kind)
    return ({parameter: scope.name} if parameter else {}) | {"horizon_days": str(HORIZON_DAYS)}


def timed(answer: Callable[[Asked], object], asked: Sequence[Asked]) -> Alone:
    """What answers cost, once a few have been given."""
    for one in asked[:20]:
        answer(one)
    cpu, wall = [], []
    for one in asked:
        cpu_began, began = time.process_time(), time.perf_counter()
        answer(one)
        wall.append((time.perf_counter() - began) * 1e3)
        cpu.append((time.process_time() - cpu_began) * 1e3)
    return Alone(statistics.mean(cpu), statistics.median(wall), statistics.quantiles(wall, n=100)[98])


@contextmanager
def alone_on(core: int) -> Iterator[None]:
    """This process, on one core and in one thread, for the length of a `with` block."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        with threadpool_limits(1):
            yield
    finally:
        os.sched_setaffinity(0, cores)


def show(answers: Answers) -> None:
    print(f"\n{TITLE.format(PER_SECOND)}\n")
    for asked, alone in answers.alone.items():
        rest: Mapping[str, float] = answers.over_rest[asked].cpu_us
        parts = ", ".join(f"{part} {cpu / 1e3:.1f} ms" for part, cpu in rest.items())
        print(f"{asked:16}in process: CPU {alone.cpu_ms:.2f} ms, p50 {alone.p50_ms:.2f} ms, p99 {alone.p99_ms:.2f} ms")
        print(f"{'':16}over REST:  CPU {parts}; p50 {answers.over_rest[asked].p50_ms:.1f} ms, p99 {answers.over_rest[asked].p99_ms:.1f} ms")
    print("memory under load: " + ", ".join(f"{name} {megabytes:.0f} MB" for name, megabytes in answers.memory_mb.items()), flush=True)


if __name__ == "__main__":
    first, second = sorted(os.sched_getaffinity(0))[:2]
    with running() as demo:
        show(compare(demo, programs.built(), first, second))
