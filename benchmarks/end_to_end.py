"""Benchmark of gateway and catalog service on PostgreSQL against a monolithic FastAPI program."""

import asyncio
import itertools
import secrets
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.measure import Contender, Load, Sample, get
from benchmarks.servers import serving
from mesh import database
from mesh.migrate import migrate
from mesh.settings import MeshSettings
from services.catalog.domain import ProductDetails
from services.catalog.repository.products import ProductRepository
from tests.engines.ports import free_port
from tests.engines.postgres import Postgres

PRODUCT_COUNT = 50_000
# Products spread over the catalogue, so that different rows are read.
IDS = [f"{number:05d}" for number in range(0, PRODUCT_COUNT, PRODUCT_COUNT // 200)]
PATHS = {
    "one product": [f"/products/{id}" for id in IDS],
    "50 products": ["/products?page_size=50"],
    "search": [f"/products?search={words}" for words in ("heart+holder", "red+glass", "lantern", "vintage+tin+box")],
}


def compare(programs: Path, core: int, other_core: int) -> dict[str, dict[str, list[Sample]]]:
    """The samples of both systems by kind of request. Their Python runs on `core`; PostgreSQL and the load generator on the other."""
    load = Load(programs / "load", other_core)
    ours, catalog, theirs = (f"127.0.0.1:{free_port()}" for _ in range(3))
    with ExitStack() as running:
        url = running.enter_context(_filled_database(other_core))
        service = [sys.executable, "-m", "services.catalog"]
        secret = {"CATALOG_SECRET": secrets.token_hex(), "CATALOG_SERVICE_SECRET": secrets.token_hex()}
        catalog_pid = running.enter_context(
            serving(service, catalog, {"CATALOG_LISTEN": catalog, "CATALOG_DATABASE_URL": url, "MESH_LOG_LEVEL": "warning"} | secret, core)
        )
        settings = {"GATEWAY_LISTEN": ours, "GATEWAY_CATALOG_ADDRESS": catalog, "GATEWAY_WORKERS": "1"}
        gateway_pid = running.enter_context(serving([sys.executable, "-m", "gateway"], ours, settings, core))
        monolith = [sys.executable, "-m", "benchmarks.monolith", theirs, url.replace("postgresql://", "postgresql+asyncpg://")]
        monolith_pid = running.enter_context(serving(monolith, theirs, core=core))
        samples: dict[str, dict[str, list[Sample]]] = {}
        for name, paths in PATHS.items():
            for path in paths[:4]:
                _check_same(get(theirs, path), get(ours, path))
            samples[name] = load.compare(
                {
                    "monolith": Contender(theirs, paths, {"monolith": monolith_pid}),
                    "HashiraMart": Contender(ours, paths, {"gateway": gateway_pid, "catalog": catalog_pid}),
                }
            )
    return samples


@contextmanager
def _filled_database(core: int) -> Iterator[str]:
    """Yields the URL of a database with products, on a PostgreSQL server of its own."""
    with tempfile.TemporaryDirectory(prefix="hashiramart-bench-") as folder:
        # PostgreSQL runs as an ordinary user, who has to reach its data.
        Path(folder).chmod(0o755)
        server = Postgres(Path(folder) / "postgres")
        server.start()
        try:
            url = server.create_database()
            asyncio.run(_fill(url))
            yield url
        finally:
            server.stop()


async def _fill(url: str) -> None:
    await migrate("catalog", url)
    async with await database.connect(url, MeshSettings()) as postgres:
        repository = ProductRepository(postgres)
        numbered = enumerate(itertools.islice(_products(), PRODUCT_COUNT))
        while rows := dict(itertools.islice(numbered, 1000)):
            await repository.upsert({f"{number:05d}": details for number, details in rows.items()})


def _products() -> Iterator[ProductDetails]:
    """Products like those of a gift shop."""
    sizes = ("SMALL", "LARGE", "SET OF 3", "MINI", "GIANT", "PAIR OF")
    looks = ("WHITE", "RED", "PINK", "VINTAGE", "RETROSPOT", "CREAM", "BLUE", "SILVER", "ANTIQUE", "STRIPED", "FLORAL", "POLKADOT")
    stuffs = ("GLASS", "TIN", "METAL", "WOODEN", "PAPER", "CERAMIC", "WICKER", "FELT", "ENAMEL", "COTTON", "WAX", "ZINC")
    shapes = ("HEART", "STAR", "BIRD", "OWL", "ROSE", "CAKE", "DOG", "MOON")
    things = ("T-LIGHT HOLDER", "LANTERN", "BOX", "BUNTING", "MUG", "FRAME", "CLOCK", "CUSHION")
    for price, (thing, shape, stuff, look, size) in enumerate(itertools.product(things, shapes, stuffs, looks, sizes)):
        name = f"{size} {look} {stuff} {shape} {thing}"
        description = f"A {thing.lower()} of {stuff.lower()} in the shape of a {shape.lower()}."
        yield ProductDetails(name, description, thing.title(), 95 + price % 1900, "GBP", price % 500)


def _check_same(theirs: dict[str, object], ours: dict[str, object]) -> None:
    """Raises an error unless both systems return the same, apart from the format of times and page tokens."""
    if _without_formats(theirs) != _without_formats(ours):
        raise RuntimeError(f"the monolith returns {theirs}, and HashiraMart {ours}")


def _without_formats(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_formats(each) for key, each in value.items() if not key.endswith(("_time", "_token"))}
    return [_without_formats(each) for each in value] if isinstance(value, list) else value
