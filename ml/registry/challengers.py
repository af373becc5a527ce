"""Versions that are loaded beside the champion, while something asks for them."""

import time
from collections.abc import Callable, Collection
from typing import Generic

import structlog

from ml.registry.artifact_folder import ArtifactFolder, M
from ml.registry.champion import ServedModel
from ml.registry.client import RegistryClient, RegistryUnavailable, VersionNotFound
from ml.registry.errors import InvalidArtifact

# A version that could not be loaded is tried again after this time.
_RETRY_SECONDS = 60.0
_log = structlog.get_logger(__name__)


class Challengers(Generic[M]):
    """Holds the versions that are wanted.

    wanted: the numbers of the versions that are wanted now; their models are in memory together
    """

    def __init__(self, registry: RegistryClient, artifacts: ArtifactFolder[M], wanted: Callable[[], Collection[str]]) -> None:
        self._registry = registry
        self._artifacts = artifacts
        self._wanted = wanted
        self._loaded: dict[str, ServedModel[M]] = {}
        # Why a version could not be loaded, and the time before which it is not tried again.
        self._failed: dict[str, tuple[str, float]] = {}

    def get(self, number: str) -> ServedModel[M] | None:
        """The version of a number; None if it is not loaded, or not wanted any more."""
        return self._loaded.get(number)

    def error(self, number: str) -> str:
        """Why a version could not be loaded; empty if it was, or was not tried."""
        return self._failed.get(number, ("", 0.0))[0]

    async def refresh(self) -> None:
        """Loads the versions that are wanted, one after another, and lets go of those that no longer are."""
        wanted = set(self._wanted())
        before = set(self._loaded)
        self._loaded = {number: served for number, served in self._loaded.items() if number in wanted}
        self._failed = {number: failure for number, failure in self._failed.items() if number in wanted}
        for number in sorted(wanted - set(self._loaded)):
            if time.monotonic() >= self._failed.get(number, ("", 0.0))[1]:
                await self._try(number)
        if set(self._loaded) != before:
            self._artifacts.delete_others([served.version for served in self._loaded.values()])

    async def _try(self, number: str) -> None:
        try:
            version = await self._registry.get(number)
            self._loaded[number] = ServedModel(version, await self._artifacts.load(version))
            self._failed.pop(number, None)
            _log.info("loaded a version beside the champion", version=number)
        except VersionNotFound:
            self._fail(number, "there is no such version")
        except (InvalidArtifact, RegistryUnavailable, OSError) as error:
            self._fail(number, str(error))

    def _fail(self, number: str, reason: str) -> None:
        if self.error(number) != reason:
            _log.error("a version cannot be loaded beside the champion", version=number, reason=reason)
        self._failed[number] = reason, time.monotonic() + _RETRY_SECONDS
