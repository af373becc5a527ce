"""A recommender in the process of the tests, and the catalog that it follows."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx

from hashiramart.catalog.v1 import catalog_pb2, catalog_pb2_grpc
from mesh import channel, database
from mesh.identity import Role, TokenVerifier
from mesh.paging import PageTokens
from mesh.periodic import run_periodically
from mesh.server import Server
from mesh.settings import MeshSettings
from ml.recommender.model import Recommender
from ml.registry.artifact_folder import CHALLENGERS, ArtifactFolder
from ml.registry.challengers import Challengers
from ml.registry.champion import Champion
from ml.registry.client import MAX_BYTES, RegistryClient
from services.recommender.catalog import CatalogFollower
from services.recommender.exposure_log import exposure_log
from services.recommender.merchandising_feed import MerchandisingFeed
from services.recommender.repository.events import EventRepository
from services.recommender.repository.exposures import ExposureRepository
from services.recommender.repository.merchandising import MerchandisingRepository
from services.recommender.repository.participants import ParticipantRepository
from services.recommender.repository.shadow_lists import ShadowListRepository
from services.recommender.servicer import RecommenderServicer
from services.recommender.shadows import Shadows
from services.recommender.stock_outlook import StockOutlook
from services.recommender.versions import LoadedVersions
from tests.callers import Issuer
from tests.engines.mlflow import SERVICE
from tests.loops import Loop
from tests.ml.model_registry import SECRET, SIGNER
from tests.services.catalog.replica import Replica as CatalogReplica

MODEL = "hashiramart-recommender"
NO_REGISTRY = "http://127.0.0.1:9"
# Where a day begins five hours later than in UTC, and four in summer.
SHOP_ZONE = ZoneInfo("America/New_York")


class CatalogServer:
    """A catalog that can be stopped and started again."""

    def __init__(self, loop: Loop, replica: CatalogReplica, settings: MeshSettings, issuer: Issuer, port: int) -> None:
        self.address = f"127.0.0.1:{port}"
        self._loop = loop
        self._replica = replica
        self._settings = settings
        self._verifier = TokenVerifier(settings.jwt_issuer, settings.jwt_audience, issuer)

    def start(self) -> None:
        async def start() -> None:
            self._server = Server(self.address, self._settings, self._verifier)
            catalog_pb2_grpc.add_CatalogServiceServicer_to_server(self._replica.servicer, self._server)
            await self._server.start()

        self._loop.run(start())

    def stop(self) -> None:
        self._loop.run(self._server.stop(0))


class RecommenderReplica:
    """The parts of a recommender, running on a loop."""

    def __init__(
        self,
        loop: Loop,
        database_url: str,
        settings: MeshSettings,
        issuer: Issuer,
        catalog_address: str,
        folder: Path,
        mlflow_url: str = NO_REGISTRY,
        *,
        shopper_orders_count: bool = False,
        required_shadow_lists: int = 0,
    ) -> None:
        self._shopper_orders_count, self._required_shadow_lists = shopper_orders_count, required_shadow_lists
        self._loop = loop
        loop.run(self._start(database_url, settings, issuer, catalog_address, folder, mlflow_url))

    def stop(self) -> None:
        self._loop.run(self._stop())

    async def _start(
        self, database_url: str, settings: MeshSettings, issuer: Issuer, catalog_address: str, folder: Path, mlflow_url: str
    ) -> None:
        async def proof() -> Sequence[tuple[str, str]]:
            return issuer.metadata(Role.SERVICE, "recommender")

        service = catalog_pb2.DESCRIPTOR.services_by_name["CatalogService"]
        self._channel = channel.connect(catalog_address, service, settings, proof)
        self._client = httpx.AsyncClient(timeout=20, auth=SERVICE)
        self.database = await database.connect(database_url, settings)
        self.registry = RegistryClient(self._client, mlflow_url, MODEL, SIGNER.verifier)
        self.champion = Champion(self.registry, folder, Recommender.load, SECRET, 0.05)
        self.catalog = CatalogFollower(self._channel)
        tokens = PageTokens(b"the same for all replicas")
        self.events, self.exposures = EventRepository(self.database), ExposureRepository(self.database)
        self.exposure_log = exposure_log(self.exposures)
        self.merchandising = MerchandisingFeed(MerchandisingRepository(self.database), self.database)
        self.stock_outlook = StockOutlook()
        artifacts = ArtifactFolder(self.registry, folder / CHALLENGERS, Recommender.load, MAX_BYTES)
        challengers = Challengers(self.registry, artifacts, lambda: self.merchandising.current.versions)
        self.versions = LoadedVersions(challengers, self.catalog)
        self.shadows = Shadows(self.merchandising, self.versions, ShadowListRepository(self.database))
        self.servicer = RecommenderServicer(
            self.registry,
            self.champion,
            self.catalog,
            self.events,
            self.exposures,
            self.exposure_log,
            self.merchandising,
            ParticipantRepository(self.database),
            self.versions,
            self.shadows,
            tokens,
            SHOP_ZONE,
            shopper_orders_count=self._shopper_orders_count,
            required_shadow_lists=self._required_shadow_lists,
            stock_outlook=self.stock_outlook,
        )
        self._work = [asyncio.create_task(self.catalog.follow()), asyncio.create_task(self.exposure_log.run())]
        loading = run_periodically(challengers.refresh, 0.05)
        self._work += [asyncio.create_task(work) for work in (self.merchandising.run(), loading, self.shadows.run())]
        await self.champion.restore()
        if mlflow_url != NO_REGISTRY:
            self._work.append(asyncio.create_task(self.champion.watch()))

    async def _stop(self) -> None:
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)
        await self._channel.close()
        await self._client.aclose()
        await self.database.close()
