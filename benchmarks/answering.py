"""Recommendations and forecasts on the demo's data and one core, in process and over REST: `python -m benchmarks.answering`."""

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

TITLE = "Responses from models on one core; REST at {} requests per second"
PER_SECOND, SECONDS = 50, 20
REQUESTS = 500
Argument = TypeVar("Argument")
HORIZON_DAYS = 28


@dataclass(frozen=True)
class CallCost:
    """The cost of a call in process."""

    cpu_ms: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Results:
    """The measurements: costs by kind of request, memory by service."""

    in_process: dict[str, CallCost]
    over_rest: dict[str, Sample]
    memory_mb: dict[str, float]


@dataclass(frozen=True)
class Demo:
    """The demo on a stack of its own."""

    stack: Stack
    clean: Path
    """A folder with its clean data."""

    def model(self, name: str) -> Path:
        """The folder of the model that is served."""
        served = self.stack.folder / "data" / name
        return served / ModelVersion.model_validate_json((served / "served.json").read_bytes()).provenance.artifact_sha256

    def token(self) -> str:
        """An access token of the staff user."""
        known = dotenv_values(self.stack.folder / "demo.env")
        form = {"grant_type": "password", "username": known["STAFF_EMAIL"], "password": known["STAFF_PASSWORD"]}
        token: str = httpx.post(f"{self.stack.rest}/auth/token", data=form, timeout=30).raise_for_status().json()["access_token"]
        return token


@contextmanager
def running() -> Iterator[Demo]:
    """Runs the demo, which takes minutes, and its stack for the length of a `with` block."""
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


def compare(demo: Demo, peers: Path, core: int, other_core: int) -> Results:
    """Measures with gateway and services on `core`, and the load generator on `other_core`."""
    recommender, forecaster = Recommender.load(demo.model("recommender")), Forecaster.load(demo.model("forecaster"))
    dice = random.Random(1)  # noqa: S311 (no secret)
    customers = dice.sample(sorted(recommender.customer_indices), REQUESTS)
    scopes = dice.choices(forecaster.scopes, k=REQUESTS)
    with _pinned_to(core):
        in_process = {
            "recommendation": _measure(
                lambda number: recommender.recommend(RecommendationRequest(number)).recommendations(range(10)), customers
            ),
            "forecast": _measure(lambda scope: forecaster.forecast(scope, "units", HORIZON_DAYS, "day", (80, 95)), scopes),
        }
    paths = {
        "recommendation": [f"/customers/{number}/recommendations" for number in customers],
        "forecast": [f"/forecasts/sales?{urlencode(_query(scope))}" for scope in scopes],
    }
    pids = demo.stack.pids()
    services = {"recommendation": "recommender", "forecast": "forecaster"}
    for name in ("gateway", *services.values()):
        subprocess.run(["taskset", "--all-tasks", "--cpu-list", "--pid", str(core), str(pids[name])], check=True, stdout=subprocess.DEVNULL)
    load, address = Load(peers / "load", other_core), demo.stack.rest.removeprefix("http://")
    over_rest = {}
    for kind, service in services.items():
        contender = Contender(address, paths[kind], {"gateway": pids["gateway"], service: pids[service]}, demo.token())
        over_rest[kind] = load.steady(contender, PER_SECOND, SECONDS)
    memory = {name: resident_megabytes(pids[name]) for name in ("gateway", "auth", "catalog", "recommender", "forecaster", "jobs")}
    return Results(in_process, over_rest, memory)


def _query(scope: Scope) -> dict[str, str]:
    """The query parameters of a scope."""
    parameter = {"product": "product_id", "category": "category", "country": "country"}.get(scope.kind)
    return ({parameter: scope.name} if parameter else {}) | {"horizon_days": str(HORIZON_DAYS)}


def _measure(call: Callable[[Argument], object], arguments: Sequence[Argument]) -> CallCost:
    """The cost of a call, after a warm-up."""
    for argument in arguments[:20]:
        call(argument)
    cpu, wall = [], []
    for argument in arguments:
        cpu_began, began = time.process_time(), time.perf_counter()
        call(argument)
        wall.append((time.perf_counter() - began) * 1e3)
        cpu.append((time.process_time() - cpu_began) * 1e3)
    return CallCost(statistics.mean(cpu), statistics.median(wall), statistics.quantiles(wall, n=100)[98])


@contextmanager
def _pinned_to(core: int) -> Iterator[None]:
    """Restricts this process to one core and one thread for the length of a `with` block."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        with threadpool_limits(1):
            yield
    finally:
        os.sched_setaffinity(0, cores)


def show(results: Results) -> None:
    print(f"\n{TITLE.format(PER_SECOND)}\n")
    for kind, cost in results.in_process.items():
        sample = results.over_rest[kind]
        rest: Mapping[str, float] = sample.cpu_us
        parts = ", ".join(f"{part} {cpu / 1e3:.1f} ms" for part, cpu in rest.items())
        print(f"{kind:16}in process: CPU {cost.cpu_ms:.2f} ms, p50 {cost.p50_ms:.2f} ms, p99 {cost.p99_ms:.2f} ms")
        print(f"{'':16}over REST:  CPU {parts}; p50 {sample.p50_ms:.1f} ms, p99 {sample.p99_ms:.1f} ms")
    print("memory under load: " + ", ".join(f"{name} {megabytes:.0f} MB" for name, megabytes in results.memory_mb.items()), flush=True)


if __name__ == "__main__":
    first, second = sorted(os.sched_getaffinity(0))[:2]
    with running() as demo:
        show(compare(demo, programs.build(), first, second))
