"""What a training comes to: a version in the registry, and how it was judged. Knows nothing of MLflow's own client, which is large."""

import asyncio
import subprocess
from pathlib import Path

import httpx
from pydantic import BaseModel

from ml.pipeline.settings import Settings
from ml.registry.client import RegistryClient, registered_name
from ml.registry.version import CHALLENGER, Provenance


class Registration(BaseModel, frozen=True):
    """What came of it."""

    version: str
    run_id: str
    promoted: bool
    provenance: Provenance


def registered(model: str, settings: Settings) -> Registration | None:
    """What was registered for the same job before something ended it; if all but the promotion was done, that is made up for.

    Raises `Unavailable` while MLflow cannot be reached.
    """
    return asyncio.run(_registered(model, settings))


def commit(folder: Path) -> str:
    """The commit that is checked out, and whether the models' code differs from it; empty in what is no checkout."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], check=True, cwd=folder, capture_output=True, text=True).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("-dirty" if git("status", "--porcelain", "--", "lake", "ml", "dvc.yaml") else "")
    except (FileNotFoundError, subprocess.CalledProcessError):
        return ""


# Between two bytes of an answer: MLflow reads its tables.
_TIMEOUT_SECONDS = 30


async def _registered(model: str, settings: Settings) -> Registration | None:
    async with httpx.AsyncClient(timeout=_TIMEOUT_SECONDS) as client:
        versions = RegistryClient(client, settings.mlflow_url, registered_name(model))
        version = await versions.of_job(settings.job_id) if settings.job_id else None
        if version is None:
            return None
        # What is promoted is the challenger up to the last.
        if version.provenance.gate.passed and CHALLENGER in version.aliases:
            version = await versions.promote(version.number)
        return Registration(version=version.number, run_id=version.run_id, promoted=version.was_promoted, provenance=version.provenance)
