"""The RPCs about the model of a service, which the recommender and the forecaster have in common."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic

import grpc.aio
from google.protobuf.message import Message

from hashiramart.model.v1 import model_pb2
from mesh.errors import FailedPrecondition, NotFound, Unavailable
from mesh.paging import PageTokens, page_size
from mesh.timestamps import timestamp
from ml.registry.champion import Champion, M, ServedModel
from ml.registry.client import GateNotPassed, NoPreviousVersion, RegistryClient, RegistryUnavailable, VersionNotFound
from ml.registry.errors import InvalidArtifact
from ml.registry.gate import Judgement
from ml.registry.version import ModelVersion

Context = grpc.aio.ServicerContext[Message, Message]

# A first training takes minutes.
_NO_MODEL_RETRY_SECONDS = 60


class ModelServicer(Generic[M]):
    """Lists the versions of one model and promotes them. The servicer of a service that answers from a model extends it."""

    def __init__(self, registry: RegistryClient, champion: Champion[M], page_tokens: PageTokens) -> None:
        self._registry = registry
        self._champion = champion
        self._page_tokens = page_tokens

    @property
    def serving(self) -> ServedModel[M]:
        """The model to answer from: read it once per request. Raises `Unavailable` while no model has been promoted."""
        if (serving := self._champion.serving) is None:
            raise _no_model()
        return serving

    async def GetModel(self, request: model_pb2.GetModelRequest, context: Context) -> model_pb2.Model:
        with _registry_errors(request.version):
            version = await (self._registry.get(request.version) if request.version else self._registry.champion())
        if version is None:
            raise _no_model()
        return self._message(version)

    async def ListModels(self, request: model_pb2.ListModelsRequest, context: Context) -> model_pb2.ListModelsResponse:
        after = self._page_tokens.read(request)
        with _registry_errors():
            page = await self._registry.page(page_size(request.page_size), str(after[0]) if after else "")
        return model_pb2.ListModelsResponse(
            models=map(self._message, page.versions),
            next_page_token=self._page_tokens.write(request, (page.next_token,)) if page.next_token else "",
        )

    async def PromoteModel(self, request: model_pb2.PromoteModelRequest, context: Context) -> model_pb2.Model:
        with _registry_errors(request.version):
            return self._message(await self._champion.promote(request.version, force=request.force))

    async def RollbackModel(self, request: model_pb2.RollbackModelRequest, context: Context) -> model_pb2.Model:
        with _registry_errors():
            return self._message(await self._champion.rollback())

    def _message(self, version: ModelVersion) -> model_pb2.Model:
        serving, provenance = self._champion.serving, version.provenance
        return model_pb2.Model(
            version=version.number,
            aliases=version.aliases,
            serving=serving is not None and serving.version.same(version),
            create_time=timestamp(version.create_time),
            promote_time=timestamp(version.promote_time) if version.promote_time else None,
            recipe=provenance.recipe,
            data_through_date=provenance.data_through_date.isoformat(),
            metrics=provenance.metrics,
            gate=_gate_message(provenance.gate),
            lineage=_lineage_message(version),
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


def _no_model() -> Unavailable:
    return Unavailable("NO_MODEL", "no model has been promoted yet", retry_after_seconds=_NO_MODEL_RETRY_SECONDS)


@contextmanager
def _registry_errors(number: str = "") -> Iterator[None]:
    """Translates the errors of the registry into those of a call. number: the version that the request names"""
    try:
        yield
    except VersionNotFound:
        raise NotFound("model version", number) from None
    except GateNotPassed:
        raise FailedPrecondition("MODEL_REFUSED_BY_GATE", f"version {number} did not pass the gate") from None
    except NoPreviousVersion:
        raise FailedPrecondition("NO_PREVIOUS_MODEL", "there is no previous champion to roll back to") from None
    except InvalidArtifact as error:
        raise FailedPrecondition("MODEL_UNFIT", str(error)) from error
    except RegistryUnavailable as error:
        raise Unavailable("REGISTRY_UNAVAILABLE", "the model registry cannot be reached") from error
