"""A model's versions in a real MLflow, and those who serve them."""

from datetime import date
from pathlib import Path

import httpx

from ml.pipeline import tracking
from ml.registry import artifact
from ml.registry.champion import Champion
from ml.registry.client import RegistryClient
from ml.registry.gate import Check, Judgement
from ml.registry.version import Lineage, ModelVersion, Provenance
from tests.loops import Loop
from tests.ml.standin.model import Standin

LINEAGE = Lineage(
    dvc_revision="0123456789abcdef.dir",
    data_hash="d0" * 32,
    job_id="job-7",
    etl_job_id="job-6",
    raw_files=(f"sales.csv {'ab' * 32}", f"more.csv {'cd' * 32}"),
    code_commit="c0ffee",
)


def provenance(folder: Path, *, passed: bool = True) -> Provenance:
    return Provenance(
        artifact_sha256=artifact.digest(folder),
        recipe="quick",
        parameters={"quality": 0.9, "trees": {"count": 120}},
        data_through_date=date(2011, 12, 9),
        metrics={"test.score": 0.9},
        gate=Judgement(checks=(Check(name="test.score beats the baseline", passed=passed, measured=0.9, required=0.5),)),
        lineage=LINEAGE,
    )


class Shelf:
    """The versions of one model; whatever is awaited here is run on the loop."""

    def __init__(self, url: str, model: str, folder: Path, loop: Loop) -> None:
        self.model = model
        self._url = url
        self._folder = folder
        self._loop = loop
        self._client = httpx.AsyncClient(timeout=20)
        self.versions = RegistryClient(self._client, url, model)

    def close(self) -> None:
        self._loop.run(self._client.aclose())

    def put(self, answer: float, *, expected: float | None = None, passed: bool = True) -> str:
        """Registers a model that answers this; returns its number."""
        saved = self._folder / str(answer)
        Standin(answer, answer if expected is None else expected).save(saved)
        return tracking.register(self._url, self.model, provenance(saved, passed=passed), saved, [])

    def promote(self, number: str) -> ModelVersion:
        return self._loop.run(self.versions.promote(number))

    def champion(self) -> str:
        champion = self._loop.run(self.versions.champion())
        return champion.number if champion else ""

    def served_by(self, folder: Path, poll_seconds: float = 0.05) -> Champion[Standin]:
        """Who serves the champion, and keeps it in a folder."""
        return Champion(self.versions, folder, Standin.load, poll_seconds)
