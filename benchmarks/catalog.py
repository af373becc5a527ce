"""Benchmark of the catalog service with 50,000 products: imports, searches, reads and memory.

python -m benchmarks.catalog
"""

import asyncio
import itertools
import os
import random
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import grpc.aio

from benchmarks.servers import cpu_seconds, serving
from hashiramart.auth.v1 import auth_pb2, auth_pb2_grpc
from hashiramart.catalog.v1 import catalog_pb2, catalog_pb2_grpc
from stack.engines import postgres

PRODUCTS = 50_000
VOCABULARY = 10_000
ROUNDS = 200
CONNECTIONS = 16
SECONDS = 4.0
MANAGER = "manager@shop.example.com"

# The frequency of words follows a power law, as in natural languages.
DICE = random.Random(1)  # noqa: S311 (no secret)
SYLLABLES = [first + last for first in "bdfghklmnprstvz" for last in "aeiou"]
WORDS = list(dict.fromkeys("".join(DICE.choices(SYLLABLES, k=DICE.randint(2, 4))) for _ in range(2 * VOCABULARY)))[:VOCABULARY]
WEIGHTS = list(itertools.accumulate(1 / (rank + 10) for rank in range(VOCABULARY)))


def _product(number: int) -> catalog_pb2.Product:
    return catalog_pb2.Product(
        id=f"{10_000 + number}",
        name=" ".join(DICE.choices(WORDS, cum_weights=WEIGHTS, k=DICE.randint(2, 8))).title(),
        description=" ".join(DICE.choices(WORDS, cum_weights=WEIGHTS, k=DICE.randint(5, 40))),
        category=f"category {number % 20}",
        price_cents=DICE.randint(50, 9_999),
        stock=DICE.randint(0, 200),
    )


# Searches by what they are an example of.
SEARCHES = {
    "a common word": WORDS[0],
    "a word between": WORDS[300],
    "a rare word": WORDS[-1],
    "two common words": f"{WORDS[0]} {WORDS[1]}",
    "a common word and a rare one": f"{WORDS[0]} {WORDS[-1]}",
    "four words": " ".join(WORDS[:4]),
    "a misspelt word": f"{WORDS[2000][:-1]}x",
    "a misspelt word among common ones": f"{WORDS[0]} {WORDS[2500][1:]}",
    "no product's word": "qqqqqqqqqq",
}


async def main() -> None:
    """Prints the results."""
    with tempfile.TemporaryDirectory() as folder, _running(Path(folder)) as catalog:
        async with grpc.aio.insecure_channel(catalog.catalog_address) as channel:
            stub = catalog_pb2_grpc.CatalogServiceStub(channel)
            await _measure_imports(stub, catalog)
            await _measure_searches(stub)
            await _measure_reads(stub, catalog)
            print(f"peak memory of the catalog service: {_peak_megabytes(catalog.pid):.0f} MB")


async def _measure_imports(stub: "catalog_pb2_grpc.CatalogServiceAsyncStub", catalog: "RunningCatalog") -> None:
    products = [_product(number) for number in range(PRODUCTS)]
    rows = [catalog_pb2.ImportProductsRequest(product=each) for each in products]
    for what in ("new", "unchanged"):
        before, begin = cpu_seconds(catalog.pid), time.perf_counter()
        report = await stub.ImportProducts(iter(rows), metadata=catalog.metadata)
        seconds, cpu = time.perf_counter() - begin, cpu_seconds(catalog.pid) - before
        counts = f"{report.created_count} created, {report.unchanged_count} unchanged, {report.failed_count} failed"
        memory = _peak_megabytes(catalog.pid)
        print(f"import of {PRODUCTS} products, {what}: {seconds:.1f} s, CPU {cpu:.1f} s, memory {memory:.0f} MB; {counts}")


async def _measure_searches(stub: "catalog_pb2_grpc.CatalogServiceAsyncStub") -> None:
    # PostgreSQL is still vacuuming what was written last.
    await asyncio.sleep(5)
    print(f"{'search for':<36}{'median':>9}{'p99':>9}")
    for title, words in SEARCHES.items():
        request = catalog_pb2.ListProductsRequest(search=words)
        times = sorted([await _milliseconds(stub.ListProducts(request)) for _ in range(ROUNDS)])
        answer = await stub.ListProducts(request)
        print(f"{title:<36}{statistics.median(times):>6.1f} ms{times[ROUNDS * 99 // 100]:>6.1f} ms   {len(answer.products)} found")


async def _measure_reads(stub: "catalog_pb2_grpc.CatalogServiceAsyncStub", catalog: "RunningCatalog") -> None:
    get, page = catalog_pb2.GetProductRequest(id="10007"), catalog_pb2.ListProductsRequest(page_size=50)
    for what, read in (("one product", lambda: stub.GetProduct(get)), ("50 products", lambda: stub.ListProducts(page))):
        before, begin = cpu_seconds(catalog.pid), time.perf_counter()
        counts = await asyncio.gather(*(_count_calls(read, begin + SECONDS) for _ in range(CONNECTIONS)))
        cpu = (cpu_seconds(catalog.pid) - before) / sum(counts)
        print(f"{what}: {cpu * 1e6:.0f} µs of CPU per call, {sum(counts) / SECONDS:.0f} calls per second")


async def _count_calls(call: Callable[[], Awaitable[object]], end: float) -> int:
    """Repeats a call until a time of `perf_counter`; returns the number of calls."""
    count = 0
    while time.perf_counter() < end:
        await call()
        count += 1
    return count


async def _milliseconds(call: Awaitable[object]) -> float:
    begin = time.perf_counter()
    await call
    return (time.perf_counter() - begin) * 1000


class RunningCatalog(NamedTuple):
    """A running catalog service, and the metadata of a manager's calls."""

    catalog_address: str
    pid: int
    metadata: Sequence[tuple[str, str]]


@contextmanager
def _running(folder: Path) -> Iterator[RunningCatalog]:
    """Runs PostgreSQL, auth and catalog for the length of a `with` block."""
    folder.chmod(0o755)
    database_port, auth_port, catalog_port = _free_ports(3)
    secret, data = secrets.token_urlsafe(), folder / "postgres"
    postgres.initialise(data, secret)
    url = f"postgresql://{postgres.USER}:{secret}@127.0.0.1:{database_port}/postgres"
    environment = {
        "AUTH_DATABASE_URL": url,
        "AUTH_LISTEN": f"127.0.0.1:{auth_port}",
        "AUTH_SECRET": secret,
        "AUTH_SERVICE_SECRETS": "{}",
        "CATALOG_DATABASE_URL": url,
        "CATALOG_LISTEN": f"127.0.0.1:{catalog_port}",
        "CATALOG_SECRET": secret,
        "CATALOG_SERVICE_SECRET": secret,
        "MESH_AUTH_ADDRESS": f"127.0.0.1:{auth_port}",
        "MESH_LOG_LEVEL": "warning",
    }
    python = [sys.executable, "-m"]
    with serving(postgres.command(data, database_port, log_min_messages="fatal"), f"127.0.0.1:{database_port}"):
        subprocess.run([*python, "mesh.migrate", "auth", "catalog"], env=os.environ | environment, check=True)
        create_admin = [*python, "services.auth.admin", "create-admin", "--email", MANAGER]
        subprocess.run(create_admin, env=os.environ | environment, input=f"{secret}\n", text=True, check=True)
        with (
            serving([*python, "services.auth"], environment["AUTH_LISTEN"], environment),
            serving([*python, "services.catalog"], environment["CATALOG_LISTEN"], environment) as pid,
            grpc.insecure_channel(environment["AUTH_LISTEN"]) as auth,
        ):
            request = auth_pb2.IssueTokenRequest(grant_type="password", username=MANAGER, password=secret)
            token = auth_pb2_grpc.AuthServiceStub(auth).IssueToken(request)
            yield RunningCatalog(environment["CATALOG_LISTEN"], pid, [("authorization", f"Bearer {token.access_token}")])


def _free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def _peak_megabytes(pid: int) -> float:
    """The peak resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1000


if __name__ == "__main__":
    asyncio.run(main())
