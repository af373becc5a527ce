"""The registry of one model in a real MLflow, for tests."""

from datetime import date
from pathlib import Path

import httpx

from ml.pipeline import tracking
from ml.registry import artifact
from ml.registry.champion import Champion
from ml.registry.client import RegistryClient
from ml.registry.judgement import Check, Judgement
from ml.registry.signature import Signer
from ml.registry.version import Lineage, ModelVersion, Provenance
from tests.engines.mlflow import SIGNING_KEY, Mlflow
from tests.loops import Loop
from tests.ml.standin.model import Standin

SIGNER = Signer(SIGNING_KEY)
# Of the services that share a registry.
SECRET = "the same for all replicas"
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


class ModelRegistry:
    """The versions of one model. Coroutines run on the given loop."""

    def __init__(self, mlflow: Mlflow, model: str, folder: Path, loop: Loop) -> None:
        self.model = model
        self.url = mlflow.url
        self._folder = folder
        self._loop = loop
        self._http = httpx.AsyncClient(timeout=20, auth=mlflow.auth)
        self.client = RegistryClient(self._http, mlflow.url, model, SIGNER.verifier)

    def close(self) -> None:
        self._loop.run(self._http.aclose())

    def register(self, answer: float, *, expected: float | None = None, passed: bool = True) -> str:
        """Registers a stand-in that gives this answer; returns the number of the version. expected: what its check expects"""
        saved = self._folder / str(answer)
        Standin(answer, answer if expected is None else expected).save(saved)
        return tracking.register(self.url, self.model, provenance(saved, passed=passed), SIGNER, saved, [])

    def promote(self, number: str) -> ModelVersion:
        return self._loop.run(self.client.promote(number, "for a test"))

    def champion_number(self) -> str:
        """The number of the champion; empty if there is none."""
        champion = self._loop.run(self.client.champion())
        return champion.number if champion else ""

    def champion_in(self, folder: Path, poll_seconds: float = 0.05) -> Champion[Standin]:
        """The champion as a service would serve it, with its artifacts in a folder."""
        return Champion(self.client, folder, Standin.load, SECRET, poll_seconds)
