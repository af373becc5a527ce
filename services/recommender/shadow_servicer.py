"""The RPCs by which versions are put in shadow, compared with the champion, and promoted."""

import asyncio

import grpc.aio
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from hashiramart.model.v1 import model_pb2
from hashiramart.recommender.v1 import shadows_pb2
from mesh.errors import FailedPrecondition
from mesh.paging import PageTokens, page_size
from ml.recommender.model import Recommender
from ml.registry.champion import Champion
from ml.registry.client import RegistryClient
from services.models import ModelServicer
from services.recommender.merchandising import Shadow
from services.recommender.repository.merchandising import MerchandisingRepository
from services.recommender.shadow_report import add_summary, add_values
from services.recommender.shadows import Shadows
from services.recommender.versions import LoadedVersions

Context = grpc.aio.ServicerContext[Message, Message]
# How many lists values are estimated from: tens of megabytes.
_MAX_ESTIMATED = 20_000


class ShadowServicer(ModelServicer[Recommender]):
    """Lists the versions of the model, puts them in shadow and promotes them. The recommender's servicer extends it."""

    def __init__(
        self,
        registry: RegistryClient,
        champion: Champion[Recommender],
        page_tokens: PageTokens,
        time_zone: str,
        repository: MerchandisingRepository,
        versions: LoadedVersions,
        shadows: Shadows,
        required_shadow_lists: int,
    ) -> None:
        """required_shadow_lists: how many lists a version has to make in shadow before it is promoted"""
        super().__init__(registry, champion, page_tokens, time_zone)
        self._repository = repository
        self._versions = versions
        self._shadows = shadows
        self._required_shadow_lists = required_shadow_lists

    async def ListShadows(self, request: shadows_pb2.ListShadowsRequest, context: Context) -> shadows_pb2.ListShadowsResponse:
        place, size = self._page_tokens.read(request), page_size(request.page_size)
        found = await self._repository.shadows.page(str(place[0]) if place else "", size + 1)
        token = self._page_tokens.write(request, (found[size - 1].id,)) if len(found) > size else ""
        return shadows_pb2.ListShadowsResponse(shadows=found[:size], next_page_token=token)

    async def ReplaceShadow(self, request: shadows_pb2.ReplaceShadowRequest, context: Context) -> Shadow:
        with self._registry_errors(request.shadow.id):
            await self._registry.get(request.shadow.id)
        return await self._repository.replace_shadow(request.shadow)

    async def DeleteShadow(self, request: shadows_pb2.DeleteShadowRequest, context: Context) -> Empty:
        await self._repository.delete_shadow(request.id)
        return Empty()

    async def GetShadowReport(self, request: shadows_pb2.GetShadowReportRequest, context: Context) -> shadows_pb2.ShadowReport:
        lists, challengers = self._shadows.lists, self._versions.challengers
        report = shadows_pb2.ShadowReport(
            id=request.id, is_loaded=challengers.get(request.id) is not None, load_error=challengers.error(request.id)
        )
        add_summary(report, await lists.summary(request.id))
        pairs = await lists.latest(request.id, _MAX_ESTIMATED)
        rewards = await lists.rewards(pairs)
        await asyncio.to_thread(add_values, report, pairs, rewards)
        return report

    async def _check_promotion(self, request: model_pb2.PromoteModelRequest) -> None:
        """Raises what `PromoteModel` would raise."""
        with self._registry_errors(request.version, request.expected_champion_version):
            await self._champion.check_promotion(request.version, expected_champion=request.expected_champion_version)
        await self._check_shadow_lists(request)

    async def PromoteModel(self, request: model_pb2.PromoteModelRequest, context: Context) -> model_pb2.Model:
        await self._check_shadow_lists(request)
        return await super().PromoteModel(request, context)

    async def _check_shadow_lists(self, request: model_pb2.PromoteModelRequest) -> None:
        champion = self._champion.serving
        # The first champion has nothing to be compared with, and a repeated promotion changes nothing.
        if champion and champion.version.number != request.version and not request.force:
            await self._require_shadow_lists(request.version)

    async def _require_shadow_lists(self, version: str) -> None:
        """Raises `FailedPrecondition` if a version has made too few lists in shadow to be shown."""
        if self._required_shadow_lists and (made := await self._shadows.lists.count(version)) < self._required_shadow_lists:
            raise FailedPrecondition(
                "MODEL_NOT_SHADOWED",
                "version {version} has made {count} lists in shadow, and {required} are required",
                version=version,
                count=made,
                required=self._required_shadow_lists,
            )
