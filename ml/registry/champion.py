"""The champion: loaded from the registry, watched, and swapped while a service answers from it.

Its artifact is kept on the local disk, so that a service keeps running, and can also start, without the registry or the object store.
"""

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Generic, NamedTuple

import structlog
from prometheus_client import Counter, Gauge
from pydantic import ValidationError

from ml.registry.artifact_folder import ArtifactFolder, M
from ml.registry.client import MAX_BYTES, RegistryClient, RegistryUnavailable
from ml.registry.errors import InvalidArtifact
from ml.registry.version import ModelVersion

_SERVED = "served.json"
# An invalid artifact is tried again after this time: the object store may have been repaired.
_RETRY_SECONDS = 60.0
# While the registry cannot be read, it is asked less and less often, at last at this interval.
_LONGEST_WAIT_SECONDS = 30.0
_FAILURES = Counter(
    "champion_failures",
    "Looks at the registry after which the champion was not served, by model and kind of error.",
    ["model", "error"],
)
_DATA_THROUGH = Gauge(
    "champion_data_through_timestamp_seconds",
    "Beginning (UTC) of the last day of the data that the served model was fitted to.",
    ["model"],
)
_log = structlog.get_logger(__name__)


class ServedModel(NamedTuple, Generic[M]):
    """A model and its version. A request reads both at once and uses them until it is answered, so that a swap cannot mix two models."""

    version: ModelVersion
    model: M


class Champion(Generic[M]):
    """The champion of one registered model.

    registry: the client of that model
    folder: where artifacts are kept; of this process alone
    load: loads a model from the folder of its artifact; may raise `InvalidArtifact`
    secret: of the service, the same for all replicas; proves that a promotion past the gate was forced through one of them
    poll_seconds: the interval between two looks at the registry
    max_bytes: the largest size of an artifact's files together
    """

    def __init__(
        self,
        registry: RegistryClient,
        folder: Path,
        load: Callable[[Path], M],
        secret: str,
        poll_seconds: float,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._secret = secret.encode()
        self._registry = registry
        self._folder = folder
        self._artifacts = ArtifactFolder(registry, folder, load, max_bytes)
        self._poll_seconds = poll_seconds
        self._serving: ServedModel[M] | None = None
        self._last_error = ""
        # The digest of the last invalid artifact, and the time before which it is not tried again.
        self._invalid = ("", 0.0)
        # One swap at a time: the files in the folder belong to it.
        self._swap = asyncio.Lock()

    @property
    def serving(self) -> ServedModel[M] | None:
        """The model to answer from, or None before the first promotion."""
        return self._serving

    async def restore(self) -> None:
        """Serves the model that was served last, if its artifact on disk is intact. Makes no call to another process.

        Its signature was verified when it came into the folder, in which no other process writes.
        """
        try:
            version = ModelVersion.model_validate_json((self._folder / _SERVED).read_bytes())
            async with self._swap:
                await self._serve(version)
        except FileNotFoundError:
            return
        except (InvalidArtifact, OSError, ValidationError) as error:
            _log.error("the last model cannot be restored", reason=str(error))

    async def watch(self) -> None:
        """Polls the registry until cancelled. After an error, of whatever kind, the present model stays, and the waits become longer."""
        wait = self._poll_seconds
        while True:
            try:
                await self.refresh()
                self._last_error, wait = "", self._poll_seconds
            except Exception as error:  # noqa: BLE001 a model is served meanwhile, which nothing that the registry holds may end
                wait = max(self._poll_seconds, min(2 * wait, _LONGEST_WAIT_SECONDS))
                _FAILURES.labels(self._registry.model, type(error).__name__).inc()
                self._report(error)
            await asyncio.sleep(wait)

    async def refresh(self) -> None:
        """Swaps in the champion if another version is served. After `RegistryUnavailable` or `InvalidArtifact` the present model stays."""
        async with self._swap:
            champion = await self.in_registry()
            if champion is None or (self._serving and champion.same(self._serving.version)):
                return
            sha256, until = self._invalid
            if champion.provenance.artifact_sha256 == sha256 and time.monotonic() < until:
                return
            try:
                await self._serve(champion)
            except InvalidArtifact:
                self._invalid = champion.provenance.artifact_sha256, time.monotonic() + _RETRY_SECONDS
                raise

    async def in_registry(self) -> ModelVersion | None:
        """The champion in the registry, or None before the first promotion.

        Raises what `RegistryClient.champion` raises, and `InvalidArtifact` for a version that did not pass the gate, unless an admin forced
        its promotion through a service.
        """
        champion = await self._registry.champion()
        if champion:
            self._check_gate(champion)
        return champion

    async def check_promotion(self, number: str, *, expected_champion: str) -> None:
        """Raises what `promote` would raise for a version that is not forced, as far as that can be known before."""
        async with self._swap:
            await self._artifacts.load(await self._registry.get(number))
            await self._registry.check_promotion(number, expected_champion)

    async def promote(self, number: str, reason: str, *, promoted_by: str, expected_champion: str, force: bool = False) -> ModelVersion:
        """Makes a version the champion and serves it; the arguments are those of `RegistryClient.promote`.

        Raises whatever that raises, and `InvalidArtifact` if the version cannot be served; then nothing changes.
        """
        async with self._swap:
            version = await self._registry.get(number)
            await self._artifacts.load(version)
            promoted = await self._registry.promote(
                number,
                reason,
                promoted_by=promoted_by,
                expected_champion=expected_champion,
                force=force,
                approval="" if not force or version.provenance.gate.passed else self._approval(version),
            )
            await self._serve(promoted)
            return promoted

    async def roll_back(self, reason: str, *, promoted_by: str, expected_champion: str) -> ModelVersion:
        """Replaces the champion by the one before it and serves that; the arguments are those of `RegistryClient.roll_back`.

        Raises whatever that raises, and `InvalidArtifact` if the version cannot be served; then nothing changes.
        """
        async with self._swap:
            target = await self._registry.rollback_target(expected_champion)
            self._check_gate(target)
            await self._artifacts.load(target)
            champion = await self._registry.roll_back(reason, promoted_by=promoted_by, expected_champion=expected_champion)
            await self._serve(champion)
            return champion

    def is_approved(self, version: ModelVersion) -> bool:
        """Whether a version may be served: it passed the gate, or an admin forced its promotion through a service."""
        return version.provenance.gate.passed or hmac.compare_digest(version.approval.encode(), self._approval(version).encode())

    def _check_gate(self, version: ModelVersion) -> None:
        """Raises `InvalidArtifact` for a version that may not be served."""
        if not self.is_approved(version):
            text = f"Version {version.number} of {self._registry.model} is not served: it did not pass the gate, and no admin forced it."
            raise InvalidArtifact(text)

    def _approval(self, version: ModelVersion) -> str:
        """The proof that the promotion of a version was forced: a MAC by the service's secret."""
        content = f"forced promotion\n{self._registry.model}\n{version.provenance.artifact_sha256}"
        return hmac.digest(self._secret, content.encode(), hashlib.sha256).hex()

    def _report(self, error: Exception) -> None:
        """Logs an error once, not at every poll; one that is not the registry's with its traceback."""
        before, self._last_error = self._last_error, str(error) or repr(error)
        if before != self._last_error:
            unexpected = not isinstance(error, (InvalidArtifact, RegistryUnavailable, OSError))
            _log.error("the champion cannot be loaded", reason=self._last_error, exc_info=error if unexpected else None)

    async def _serve(self, version: ModelVersion) -> None:
        """Swaps in a version unless it is served, and deletes all artifacts but this one and the one before."""
        if self._serving and version.same(self._serving.version):
            return
        model = await self._artifacts.load(version)
        before, self._serving = self._serving, ServedModel(version, model)
        _replace(self._folder / _SERVED, version.model_dump_json(indent=1))
        through = datetime.combine(version.provenance.data_through_date, datetime.min.time(), UTC)
        _DATA_THROUGH.labels(self._registry.model).set(through.timestamp())
        self._artifacts.delete_others([served.version for served in (before, self._serving) if served])
        _log.info("serving a model", version=version.number, artifact_sha256=version.provenance.artifact_sha256)


def _replace(file: Path, text: str) -> None:
    """Replaces a file atomically."""
    with NamedTemporaryFile("w", dir=file.parent, prefix=".", delete=False) as fresh:
        fresh.write(text)
    Path(fresh.name).replace(file)
