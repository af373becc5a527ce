"""A forecaster in the process of the tests, and the registry that it follows."""

import asyncio
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx

from hashiramart.catalog.v1 import catalog_pb2
from lake.bucket import Bucket
from mesh import channel, database
from mesh.paging import PageTokens
from mesh.settings import MeshSettings, ShopSettings
from ml.forecaster.model import Forecaster
from ml.pipeline import tracking
from ml.registry.champion import Champion
from ml.registry.client import RegistryClient
from services.forecaster.accuracy import Thresholds
from services.forecaster.accuracy_monitor import AccuracyMonitor
from services.forecaster.accuracy_repository import AccuracyRepository
from services.forecaster.accuracy_servicer import AccuracyServicer
from services.forecaster.calendar_messages import entry_message
from services.forecaster.calendar_repository import CalendarRepository
from services.forecaster.calendar_servicer import CalendarServicer
from services.forecaster.daily_units import CleanSales
from services.forecaster.outlook import Outlook
from services.forecaster.product_names import ProductNames
from services.forecaster.reorder_repository import ReorderPolicyRepository
from services.forecaster.reorder_servicer import ReorderServicer, policy_message
from services.forecaster.servicer import ForecasterServicer
from services.forecaster.stock import Stock
from tests.engines.mlflow import SERVICE
from tests.loops import Loop
from tests.ml.model_registry import SECRET, SIGNER, provenance


class ForecasterReplica:
    """The parts of a forecaster, running on a loop: it follows a model of this name in MLflow, and keeps it in a folder."""

    def __init__(
        self,
        loop: Loop,
        mlflow_url: str,
        model: str,
        folder: Path,
        settings: MeshSettings,
        catalog_address: str,
        database_url: str,
        lake: Bucket,
    ) -> None:
        self._loop = loop
        self._url = mlflow_url
        self._model = model
        self._folder = folder
        loop.run(self._start(settings, catalog_address, database_url, lake))

    def stop(self) -> None:
        self._loop.run(self._stop())

    def register(self, saved: Path) -> str:
        """Registers a saved forecaster; returns the number of its version."""
        return tracking.register(self._url, self._model, provenance(saved), SIGNER, saved, [])

    def promote(self, number: str) -> None:
        """Makes a version the champion in the registry, as a training does: the replica has to notice it."""
        self._loop.run(self._registry.promote(number, "for a test"))

    def wait_for(self, number: str) -> None:
        """Waits until the replica serves this version."""

        async def serves() -> None:
            while not (self._champion.serving and self._champion.serving.version.number == number):
                await asyncio.sleep(0.01)

        self._loop.run(serves())

    def keep_forecast(self) -> None:
        """Keeps what the served version forecasts."""
        self._loop.run(self.monitor.keep_forecast())

    def score(self) -> None:
        """Scores what was kept by the clean data."""
        self._loop.run(self.monitor.score())

    async def _start(self, settings: MeshSettings, catalog_address: str, database_url: str, lake: Bucket) -> None:
        self._client = httpx.AsyncClient(timeout=20, auth=SERVICE)
        self._registry = RegistryClient(self._client, self._url, self._model, SIGNER.verifier)
        self._champion = Champion(self._registry, self._folder, Forecaster.load, SECRET, poll_seconds=0.05)
        await self._champion.restore()
        self._channel = channel.connect(catalog_address, catalog_pb2.DESCRIPTOR.services_by_name["CatalogService"], settings)
        names, shop = ProductNames(self._channel), ShopSettings(currency="GBP", time_zone=ZoneInfo("Europe/London"))
        self._database = await database.connect(database_url, settings)
        tokens, zone = PageTokens(b"secret"), shop.time_zone.key
        entries = CalendarRepository(self._database, partial(entry_message, time_zone=zone))
        outlook = Outlook(entries, self._database)
        await outlook.refresh()
        self.servicer = ForecasterServicer(self._registry, self._champion, tokens, names, shop, outlook)
        self.calendar = CalendarServicer(entries, tokens, zone, self.servicer.data_through, outlook.refresh)
        self._stock = Stock(self._channel, max_age_seconds=0)
        policies = ReorderPolicyRepository(self._database, policy_message)
        self.reorder = ReorderServicer(policies, self._stock, outlook, tokens, zone, lambda: self.servicer.serving)
        thresholds = Thresholds(error_ratio=1.5, bias=0.25, coverage=0.7, stale_days=14)
        # Two forecasts of the small shop.
        served = AccuracyRepository(self._database, max_bytes=30_000)
        self.monitor = AccuracyMonitor(self._champion, outlook, CleanSales(lake), served, thresholds)
        self.accuracy = AccuracyServicer(self.monitor, served, tokens, zone)
        self._work = [asyncio.create_task(task) for task in (self._champion.watch(), outlook.run())]

    async def _stop(self) -> None:
        for task in self._work:
            task.cancel()
        await asyncio.wait(self._work)
        await self._database.close()
        await self._channel.close()
        await self._client.aclose()
