"""The promoted model: loaded, watched, and swapped while it serves.

Both model services answer from it. It lives on disk beside them, so that with the registry or the store gone they go on, and also start.
"""

import asyncio
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from typing import Generic, NamedTuple, Protocol, TypeVar

import structlog
from pydantic import ValidationError

from ml.registry import artifact
from ml.registry.client import RegistryClient, RegistryUnavailable
from ml.registry.errors import InvalidArtifact
from ml.registry.version import ModelVersion


class Model(Protocol):
    """What is loaded from an artifact."""

    def check(self) -> None:
        """Raises `InvalidArtifact` if it does not answer as it did when it was saved."""


M = TypeVar("M", bound=Model)


class ServedModel(NamedTuple, Generic[M]):
    """A model and the version that it is. Whoever answers takes both at once, and keeps them for the length of that answer."""

    version: ModelVersion
    model: M


class Champion(Generic[M]):
    """The promoted model of one name.

    versions: what the registry says
    folder: where artifacts are kept, for this process alone
    load: the model of an artifact's folder; may raise `InvalidArtifact`
    """

    def __init__(self, versions: RegistryClient, folder: Path, load: Callable[[Path], M], poll_seconds: float) -> None:
        self._versions = versions
        self._folder = folder
        self._load = load
        self._poll_seconds = poll_seconds
        self._serving: ServedModel[M] | None = None
        self._trouble = ""
        # What was refused, and until when it is not asked for again.
        self._refused = ("", 0.0)
        # One change at a time, and its files are nobody else's meanwhile.
        self._swap = asyncio.Lock()

    @property
    def serving(self) -> ServedModel[M] | None:
        """What to answer from; none before a model was promoted."""
        return self._serving

    async def restore(self) -> None:
        """Takes up the model that served last, if it lies on disk as it was. Asks nobody."""
        try:
            version = ModelVersion.model_validate_json((self._folder / _SERVED).read_bytes())
            async with self._swap:
                await self._take(version)
        except FileNotFoundError:
            return
        except (InvalidArtifact, ValidationError) as error:
            _log.error("the last model cannot be recalled", reason=str(error))

    async def watch(self) -> None:
        """Follows the registry until cancelled. Whatever goes wrong, the model that serves goes on serving."""
        while True:
            try:
                await self.refresh()
                self._trouble = ""
            except (InvalidArtifact, RegistryUnavailable, OSError) as error:
                # Once, not at every look.
                if str(error) != self._trouble:
                    self._trouble = str(error)
                    _log.error("the promoted model cannot be taken up", reason=self._trouble)
            await asyncio.sleep(self._poll_seconds)

    async def refresh(self) -> None:
        """Takes up the champion if another serves. Raises `RegistryUnavailable`, `InvalidArtifact`; then the model that serves is as before."""
        async with self._swap:
            champion = await self._versions.champion()
            if champion is None or (self._serving and champion.same(self._serving.version)):
                return
            sha256, until = self._refused
            if champion.provenance.artifact_sha256 == sha256 and time.monotonic() < until:
                return
            try:
                await self._take(champion)
            except InvalidArtifact:
                self._refused = champion.provenance.artifact_sha256, time.monotonic() + _REFUSED_SECONDS
                raise

    async def promote(self, number: str, *, force: bool = False) -> ModelVersion:
        """Makes a version the champion, and answers from it at once.

        Raises `VersionNotFound`, `RegistryUnavailable`, `GateNotPassed` unless forced, and `InvalidArtifact` if it cannot be served; then nothing changes.
        """
        async with self._swap:
            await self._model(await self._versions.get(number))
            promoted = await self._versions.promote(number, force=force)
            await self._take(promoted)
            return promoted

    async def rollback(self) -> ModelVersion:
        """Makes the previous champion the champion again. Raises `NoPreviousVersion`, and what `promote` raises."""
        return await self.promote((await self._versions.previous()).number, force=True)

    async def _take(self, version: ModelVersion) -> None:
        model = await self._model(version)
        before, self._serving = self._serving, ServedModel(version, model)
        _replace(self._folder / _SERVED, version.model_dump_json(indent=1))
        kept = {served.version.provenance.artifact_sha256 for served in (before, self._serving) if served}
        for entry in self._folder.iterdir():
            if entry.is_dir() and entry.name not in kept:
                shutil.rmtree(entry, ignore_errors=True)
        _log.info("serving a model", version=version.number, artifact_sha256=version.provenance.artifact_sha256)

    async def _model(self, version: ModelVersion) -> M:
        """The model of a version, from disk if it is there, and checked."""
        folder = self._folder / version.provenance.artifact_sha256
        if not folder.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(dir=self._folder, prefix=".") as work:
                fresh = Path(work, "fresh")
                fresh.mkdir()
                await self._versions.download(version, fresh)
                await asyncio.to_thread(_verify, fresh, version)
                fresh.rename(folder)
        try:
            return await asyncio.to_thread(self._loaded, folder, version)
        except InvalidArtifact:
            # What does not fit is not to be found there again.
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _loaded(self, folder: Path, version: ModelVersion) -> M:
        _verify(folder, version)
        try:
            model = self._load(folder)
            model.check()
        except InvalidArtifact:
            raise
        except Exception as error:
            # A model of other code may fail in any way, and none of them may end what watches it.
            raise InvalidArtifact(f"{folder} cannot be loaded: {error!r}.") from error
        return model


_SERVED = "served.json"
# How long a refused artifact is left alone before it is tried again: somebody may have mended the store.
_REFUSED_SECONDS = 60.0
_log = structlog.get_logger(__name__)


def _verify(folder: Path, version: ModelVersion) -> None:
    """Raises `InvalidArtifact` for an artifact that is not the one that was registered."""
    if (found := artifact.digest(folder)) != version.provenance.artifact_sha256:
        raise InvalidArtifact(f"{folder} is not version {version.number}: its SHA-256 is {found}, not {version.provenance.artifact_sha256}.")


def _replace(file: Path, text: str) -> None:
    """Writes a file; whatever interrupts this, it has the old text or the new one."""
    with NamedTemporaryFile("w", dir=file.parent, prefix=".", delete=False) as fresh:
        fresh.write(text)
    Path(fresh.name).replace(file)
