"""The RPCs about the model of a service, which the recommender and the forecaster have in common."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic

import grpc.aio
from google.protobuf.message import Message

from hashiramart.model.v1 import model_pb2
from mesh.errors import Aborted, FailedPrecondition, NotFound, Unavailable
from mesh.identity import caller
from mesh.paging import PageTokens, page_size
from mesh.timestamps import timestamp
from ml.registry.artifact_folder import M
from ml.registry.champion import Champion, ServedModel
from ml.registry.client import (
    ChampionChanged,
    GateNotPassed,
    NoPreviousVersion,
    RegistryClient,
    RegistryUnavailable,
    RolledBack,
    VersionNotFound,
)
from ml.registry.errors import InvalidArtifact
from ml.registry.judgement import Judgement
from ml.registry.version import ModelVersion, Promotion

Context = grpc.aio.ServicerContext[Message, Message]

# A first training takes minutes.
_NO_MODEL_RETRY_SECONDS = 60
_RECIPES = {"quick": model_pb2.RECIPE_QUICK, "full": model_pb2.RECIPE_FULL}


class ModelServicer(Generic[M]):
    """Lists the versions of one model and promotes them. The servicer of a service that answers from a model extends it."""

    def __init__(self, registry: RegistryClient, champion: Champion[M], page_tokens: PageTokens, time_zone: str) -> None:
        """time_zone: of the days in answers, an IANA name"""
        self._registry = registry
        self._champion = champion
        self._page_tokens = page_tokens
        self._time_zone = time_zone

    @property
    def serving(self) -> ServedModel[M]:
        """The model to answer from: read it once per request. Raises `Unavailable` while no model has been promoted."""
        if (serving := self._champion.serving) is None:
            raise self._no_model()
        return serving

    async def GetModel(self, request: model_pb2.GetModelRequest, context: Context) -> model_pb2.Model:
        with self._registry_errors(request.version):
            version = await (self._registry.get(request.version) if request.version else self._champion.in_registry())
        if version is None:
            raise self._no_model()
        return self._message(version)

    async def ListModels(self, request: model_pb2.ListModelsRequest, context: Context) -> model_pb2.ListModelsResponse:
        after = self._page_tokens.read(request)
        with self._registry_errors():
            page = await self._registry.page(page_size(request.page_size), str(after[0]) if after else "")
        return model_pb2.ListModelsResponse(
            models=map(self._message, page.versions),
            next_page_token=self._page_tokens.write(request, (page.next_token,)) if page.next_token else "",
        )

    async def PromoteModel(self, request: model_pb2.PromoteModelRequest, context: Context) -> model_pb2.Model:
        with self._registry_errors(request.version, request.expected_champion_version):
            version = await self._champion.promote(
                request.version,
                request.reason,
                promoted_by=caller().subject,
                expected_champion=request.expected_champion_version,
                force=request.force,
            )
        return self._message(version)

    async def RollbackModel(self, request: model_pb2.RollbackModelRequest, context: Context) -> model_pb2.Model:
        with self._registry_errors(expected_champion=request.expected_champion_version):
            version = await self._champion.roll_back(
                request.reason, promoted_by=caller().subject, expected_champion=request.expected_champion_version
            )
        return self._message(version)

    def _message(self, version: ModelVersion) -> model_pb2.Model:
        serving, provenance = self._champion.serving, version.provenance
        return model_pb2.Model(
            version=version.number,
            aliases=version.aliases,
            serving=serving is not None and serving.version.same(version),
            create_time=timestamp(version.create_time),
            promotion=_promotion_message(version.promotion) if version.promotion else None,
            recipe=_RECIPES.get(provenance.recipe, model_pb2.RECIPE_UNSPECIFIED),
            data_through_date=provenance.data_through_date.isoformat(),
            time_zone=self._time_zone,
            metrics=provenance.metrics,
            gate=_gate_message(provenance.gate),
            lineage=_lineage_message(version),
            awaits_promotion=version.awaits_promotion,
        )

    def _no_model(self) -> Unavailable:
        message = "no version of {model} has been promoted yet"
        return Unavailable("NO_MODEL", message, retry_after_seconds=_NO_MODEL_RETRY_SECONDS, model=self._registry.model)

    @contextmanager
    def _registry_errors(self, number: str = "", expected_champion: str = "") -> Iterator[None]:
        """Translates the errors of the registry into those of a call.

        number: the version that the request names
        expected_champion: the version that it expects to be the champion
        """
        try:
            yield
        except VersionNotFound as error:
            raise NotFound("model version", str(error)) from None
        except ChampionChanged as error:
            message = "the champion is version '{champion_version}', not '{expected_champion_version}'"
            raise Aborted("CHAMPION_CHANGED", message, champion_version=error.number, expected_champion_version=expected_champion) from None
        except GateNotPassed:
            raise FailedPrecondition("MODEL_REFUSED_BY_GATE", "version {version} did not pass the gate", version=number) from None
        except RolledBack:
            message = "version {version} was rolled back to the champion; force promotes it nevertheless"
            raise FailedPrecondition("MODEL_ROLLED_BACK", message, version=number) from None
        except NoPreviousVersion:
            message = "no version was the champion before version {champion_version}"
            raise FailedPrecondition("NO_PREVIOUS_MODEL", message, champion_version=expected_champion) from None
        except InvalidArtifact as error:
            raise FailedPrecondition("MODEL_UNFIT", "{cause}", cause=error) from error
        except RegistryUnavailable as error:
            raise Unavailable("REGISTRY_UNAVAILABLE", "the registry of {model} cannot be reached", model=self._registry.model) from error


def _promotion_message(promotion: Promotion) -> model_pb2.Promotion:
    return model_pb2.Promotion(
        time=timestamp(promotion.time),
        reason=promotion.reason,
        promoted_by=promotion.promoted_by,
        replaced_version=promotion.replaced_version,
        rollback=promotion.rollback,
    )


def _gate_message(gate: Judgement) -> model_pb2.Gate:
    return model_pb2.Gate(
        passed=gate.passed,
        checks=(
            model_pb2.GateCheck(name=check.name, passed=check.passed, measured=check.measured, required=check.required)
            for check in gate.checks
        ),
    )


def _lineage_message(version: ModelVersion) -> model_pb2.Lineage:
    lineage = version.provenance.lineage
    return model_pb2.Lineage(
        run_id=version.run_id,
        run_url=version.run_url,
        dvc_revision=lineage.dvc_revision,
        data_hash=lineage.data_hash,
        job_id=lineage.job_id,
        etl_job_id=lineage.etl_job_id,
        raw_files=lineage.raw_files,
        code_commit=lineage.code_commit,
    )
