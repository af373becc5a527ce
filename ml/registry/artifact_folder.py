"""The artifacts of a model's versions on the local disk, downloaded from the registry when they are needed."""

import asyncio
import shutil
from collections.abc import Callable, Collection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Generic, Protocol, TypeVar

from ml.registry import artifact
from ml.registry.client import RegistryClient
from ml.registry.errors import InvalidArtifact
from ml.registry.version import ModelVersion

# In the folder of the champion: the folder of the versions that are loaded beside it.
CHALLENGERS = "challengers"


class Model(Protocol):
    """A model that was loaded from an artifact."""

    def check(self) -> None:
        """Raises `InvalidArtifact` if the model does not answer as it did when it was saved."""


M = TypeVar("M", bound=Model)


class ArtifactFolder(Generic[M]):
    """Artifacts, each in a folder that its digest names.

    registry: the client of the model
    folder: of this object alone
    load: loads a model from the folder of its artifact; may raise `InvalidArtifact`
    max_bytes: the largest size of an artifact's files together
    """

    def __init__(self, registry: RegistryClient, folder: Path, load: Callable[[Path], M], max_bytes: int) -> None:
        self._registry = registry
        self._folder = folder
        self._load = load
        self._max_bytes = max_bytes

    async def load(self, version: ModelVersion) -> M:
        """Loads and checks the model of a version; downloads its artifact first if it is not on disk. Raises `InvalidArtifact`."""
        folder = self._folder / version.provenance.artifact_sha256
        if not folder.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(dir=self._folder, prefix=".") as work:
                fresh = Path(work, "fresh")
                fresh.mkdir()
                await self._registry.download(version, fresh, self._max_bytes)
                await asyncio.to_thread(_verify, fresh, version)
                fresh.rename(folder)
        try:
            return await asyncio.to_thread(self._load_folder, folder, version)
        except InvalidArtifact:
            # Deleted, so that the next attempt downloads it again.
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def delete_others(self, versions: Collection[ModelVersion]) -> None:
        """Deletes all artifacts but those of these versions."""
        kept = {CHALLENGERS, *(version.provenance.artifact_sha256 for version in versions)}
        for entry in self._folder.iterdir() if self._folder.exists() else ():
            if entry.is_dir() and entry.name not in kept:
                shutil.rmtree(entry, ignore_errors=True)

    def _load_folder(self, folder: Path, version: ModelVersion) -> M:
        _verify(folder, version)
        try:
            model = self._load(folder)
            model.check()
        except InvalidArtifact:
            raise
        except Exception as error:
            # A model of another release may fail in any way, and must not end the task that watches the registry.
            raise InvalidArtifact(f"{folder} cannot be loaded: {error!r}.") from error
        return model


def _verify(folder: Path, version: ModelVersion) -> None:
    """Raises `InvalidArtifact` unless the artifact is the one that was registered."""
    if (found := artifact.digest(folder)) != version.provenance.artifact_sha256:
        raise InvalidArtifact(
            f"{folder} is not version {version.number}: its SHA-256 is {found}, not {version.provenance.artifact_sha256}."
        )
