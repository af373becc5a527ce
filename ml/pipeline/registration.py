"""The registration of a trained model; free of MLflow's own client, which is large."""

import asyncio

import httpx
from pydantic import BaseModel

from ml.pipeline.settings import Settings
from ml.registry.client import RegistryClient, registered_name
from ml.registry.version import CHALLENGER, Provenance

# Between two bytes of a response: MLflow reads its tables.
TIMEOUT_SECONDS = 30


class Registration(BaseModel, frozen=True):
    """A version that was registered in MLflow."""

    version: str
    run_id: str
    promoted: bool
    provenance: Provenance


def find_registration(model: str, settings: Settings) -> Registration | None:
    """Returns what was registered for the same job by an earlier attempt, or None; completes a promotion that was interrupted.

    Raises `RegistryUnavailable`.
    """
    return asyncio.run(_find_registration(model, settings))


async def _find_registration(model: str, settings: Settings) -> Registration | None:
    async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS) as client:
        registry = RegistryClient(client, settings.mlflow_url, registered_name(model))
        version = await registry.of_job(settings.job_id) if settings.job_id else None
        if version is None:
            return None
        # A version stays the challenger until the last step of its promotion.
        if version.provenance.gate.passed and CHALLENGER in version.aliases:
            version = await registry.promote(version.number)
        return Registration(version=version.number, run_id=version.run_id, promoted=version.was_promoted, provenance=version.provenance)
