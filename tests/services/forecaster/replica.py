"""A forecaster in the process of the tests, and the registry that it follows."""

import asyncio
from pathlib import Path

import httpx

from mesh.paging import PageTokens
from ml.forecaster.model import Forecaster
from ml.pipeline import tracking
from ml.registry.champion import Champion
from ml.registry.client import RegistryClient
from services.forecaster.servicer import ForecasterServicer
from tests.loops import Loop
from tests.ml.model_registry import provenance


class ForecasterReplica:
    """The parts of a forecaster, running on a loop: it follows a model of this name in MLflow, and keeps it in a folder."""

    def __init__(self, loop: Loop, mlflow_url: str, model: str, folder: Path) -> None:
        self._loop = loop
        self._url = mlflow_url
        self._model = model
        self._folder = folder
        loop.run(self._start())

    def stop(self) -> None:
        self._loop.run(self._stop())

    def register(self, saved: Path) -> str:
        """Registers a saved forecaster; returns the number of its version."""
        return tracking.register(self._url, self._model, provenance(saved), saved, [])

    def promote(self, number: str) -> None:
        """Makes a version the champion in the registry, as a training does: the replica has to notice it."""
        self._loop.run(self._registry.promote(number))

    def wait_for(self, number: str) -> None:
        """Waits until the replica serves this version."""

        async def serves() -> None:
            while not (self._champion.serving and self._champion.serving.version.number == number):
                await asyncio.sleep(0.01)

        self._loop.run(serves())

    async def _start(self) -> None:
        self._client = httpx.AsyncClient(timeout=20)
        self._registry = RegistryClient(self._client, self._url, self._model)
        self._champion = Champion(self._registry, self._folder, Forecaster.load, poll_seconds=0.05)
        await self._champion.restore()
        self.servicer = ForecasterServicer(self._registry, self._champion, PageTokens(b"secret"), "GBP")
        self._watch = asyncio.create_task(self._champion.watch())

    async def _stop(self) -> None:
        self._watch.cancel()
        await asyncio.wait([self._watch])
        await self._client.aclose()
