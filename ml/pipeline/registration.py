"""The registration of a trained model; free of MLflow's own client, which is large."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from pydantic import BaseModel

from ml.pipeline.lease import check_lease
from ml.pipeline.settings import Settings
from ml.registry.client import RegistryClient, registered_name
from ml.registry.gate import check_age
from ml.registry.version import CHALLENGER, Provenance

# What a training gives as the reason of its promotion.
PROMOTION_REASON = "trained, and passed the gate"
# Between two bytes of a response: MLflow reads its tables.
TIMEOUT_SECONDS = 30


class Registration(BaseModel, frozen=True):
    """A version that was registered in MLflow."""

    version: str
    run_id: str
    promoted: bool
    awaits_promotion: bool = False
    """Whether it passed the gate, and is left to be promoted by a person, after it was in shadow."""
    provenance: Provenance


def find_registration(model: str, settings: Settings) -> Registration | None:
    """Returns what was registered for the same job by an earlier attempt, or None; completes a promotion that was interrupted.

    Raises `RegistryUnavailable`, `LeaseLost`, and `ChampionChanged` if another version was promoted meanwhile.
    """
    return asyncio.run(_find_registration(model, settings))


@asynccontextmanager
async def connect(model: str, settings: Settings) -> AsyncIterator[RegistryClient]:
    """The registry of `recommender` or `forecaster`."""
    async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, auth=settings.mlflow_auth) as client:
        yield RegistryClient(client, settings.mlflow_url, registered_name(model), settings.signer.verifier)


async def _find_registration(model: str, settings: Settings) -> Registration | None:
    async with connect(model, settings) as registry:
        version = await registry.of_job(settings.job_id) if settings.job_id else None
        if version is None:
            return None
        # The earlier attempt may have ended at any moment between the registration and the last step of the promotion.
        if version.provenance.gate.passed and (CHALLENGER in version.aliases or not version.was_promoted):
            champion, provenance = await registry.champion_to_replace(), version.provenance
            if champion and not (age := check_age(provenance.data_through_date, champion.provenance.data_through_date)).passed:
                gate = provenance.gate.model_copy(update={"checks": (*provenance.gate.checks, age)})
                judged = provenance.model_copy(update={"gate": gate})
                return Registration(version=version.number, run_id=version.run_id, promoted=False, provenance=judged)
            if settings.holds_back(model, champion):
                return Registration(
                    version=version.number, run_id=version.run_id, promoted=False, awaits_promotion=True, provenance=version.provenance
                )
            check_lease(settings)
            expected = champion.number if champion else ""
            version = await registry.promote(version.number, PROMOTION_REASON, expected_champion=expected)
        return Registration(version=version.number, run_id=version.run_id, promoted=version.was_promoted, provenance=version.provenance)
