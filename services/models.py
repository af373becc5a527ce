"""The RPCs about the model that a service answers from, which both model services have in common."""

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
from ml.registry.version import ModelVersion

Context = grpc.aio.ServicerContext[Message, Message]


class ModelServicer(Generic[M]):
    """Tells of the versions of one model, and makes one of them the champion. A model service's servicer extends it."""

    def __init__(self, registry: RegistryClient, promoted: Champion[M], page_tokens: PageTokens) -> None:
        self._registry = registry
        self._promoted = promoted
        self._page_tokens = page_tokens

    @property
    def serving(self) -> ServedModel[M]:
        """What to answer from: take it once for an answer. Raises `Unavailable` before a model was promoted."""
        if (serving := self._promoted.serving) is None:
            raise no_model()
        return serving

    async def GetModel(self, request: model_pb2.GetModelRequest, context: Context) -> model_pb2.Model:
        with _refusals(request.version):
            version = await (self._registry.get(request.version) if request.version else self._registry.champion())
        if version is None:
            raise no_model()
        return self._message(version)

    async def ListModels(self, request: model_pb2.ListModelsRequest, context: Context) -> model_pb2.ListModelsResponse:
        after = self._page_tokens.read(request)
        with _refusals():
            page = await self._registry.page(page_size(request.page_size), str(after[0]) if after else "")
        return model_pb2.ListModelsResponse(
            models=map(self._message, page.versions),
            next_page_token=self._page_tokens.write(request, (page.next_token,)) if page.next_token else "",
        )

    async def PromoteModel(self, request: model_pb2.PromoteModelRequest, context: Context) -> model_pb2.Model:
        with _refusals(request.version):
            return self._message(await self._promoted.promote(request.version, force=request.force))

    async def RollbackModel(self, request: model_pb2.RollbackModelRequest, context: Context) -> model_pb2.Model:
        with _refusals():
            return self._message(await self._promoted.rollback())

    def _message(self, version: ModelVersion) -> model_pb2.Model:
        serving = self._promoted.serving
        told, lineage = version.provenance, version.provenance.lineage
        return model_pb2.Model(
            version=version.number,
            aliases=version.aliases,
            serving=serving is not None and serving.version.same(version),
            create_time=timestamp(version.create_time),
            promote_time=timestamp(version.promote_time) if version.promote_time else None,
            recipe=told.recipe,
            data_through_date=told.data_through_date.isoformat(),
            metrics=told.metrics,
            gate=model_pb2.Gate(
                passed=told.gate.passed,
                checks=(
                    model_pb2.GateCheck(name=check.name, passed=check.passed, measured=check.measured, required=check.required)
                    for check in told.gate.checks
                ),
            ),
            lineage=model_pb2.Lineage(
                run_id=version.run_id,
                run_url=version.run_url,
                dvc_revision=lineage.dvc_revision,
                data_hash=lineage.data_hash,
                job_id=lineage.job_id,
                etl_job_id=lineage.etl_job_id,
                raw_files=lineage.raw_files,
                code_commit=lineage.code_commit,
            ),
        )


def no_model() -> Unavailable:
    """There is nothing to answer from yet."""
    return Unavailable("NO_MODEL", "no model has been promoted yet", retry_after_seconds=60)


@contextmanager
def _refusals(number: str = "") -> Iterator[None]:
    """What the registry refuses in a `with` block, in the caller's terms. number: the version that the caller names"""
    try:
        yield
    except VersionNotFound:
        raise NotFound("model version", number) from None
    except GateNotPassed:
        raise FailedPrecondition("MODEL_REFUSED_BY_GATE", f"version {number} did not pass the gate") from None
    except NoPreviousVersion:
        raise FailedPrecondition("NO_PREVIOUS_MODEL", "no version served before the champion") from None
    except InvalidArtifact as error:
        raise FailedPrecondition("MODEL_UNFIT", str(error)) from error
    except RegistryUnavailable as error:
        raise Unavailable("REGISTRY_UNAVAILABLE", "the model registry cannot be reached") from error
