"""A replica of the forecaster inside of the tests, and the registry that it follows."""

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
from tests.ml.shelf import provenance


class ForecasterReplica:
    """Its parts, at work on a loop: it follows a model of this name in an MLflow, and keeps it in a folder."""

    def __init__(self, loop: Loop, mlflow_url: str, model: str, folder: Path) -> None:
        self._loop = loop
        self._url = mlflow_url
        self._model = model
        self._folder = folder
        loop.run(self._start())

    def stop(self) -> None:
        self._loop.run(self._stop())

    def put(self, saved: Path) -> str:
        """Registers the forecaster that was saved to a folder; returns its number."""
        return tracking.register(self._url, self._model, provenance(saved), saved, [])

    def promote(self, number: str) -> None:
        """Makes it the champion, as a training does: the replica is not told."""
        self._loop.run(self._versions.promote(number))

    def wait_for(self, number: str) -> None:
        """Until it answers from this version."""

        async def serves() -> None:
            while not (self._promoted.serving and self._promoted.serving.version.number == number):
                await asyncio.sleep(0.01)

        self._loop.run(serves())

    async def _start(self) -> None:
        self._client = httpx.AsyncClient(timeout=20)
        self._versions = RegistryClient(self._client, self._url, self._model)
        self._promoted = Champion(self._versions, self._folder, Forecaster.load, poll_seconds=0.05)
        await self._promoted.restore()
        self.servicer = ForecasterServicer(self._versions, self._promoted, PageTokens(b"secret"), "GBP")
        self._watch = asyncio.create_task(self._promoted.watch())

    async def _stop(self) -> None:
        self._watch.cancel()
        await asyncio.wait([self._watch])
        await self._client.aclose()
