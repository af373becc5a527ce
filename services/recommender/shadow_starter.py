"""Puts in shadow what was trained last, where lists in shadow are required before a promotion."""

import structlog

from hashiramart.recommender.v1 import shadows_pb2
from mesh.errors import FailedPrecondition
from ml.registry.client import RegistryClient
from services.recommender.repository.merchandising import MerchandisingRepository
from services.recommender.repository.shadow_lists import ShadowListRepository

# Of the lists; staff may change it.
_TRAFFIC_SHARE = 0.1
_log = structlog.get_logger(__name__)


class ShadowStarter:
    """Starts the shadow of a version whose training has left its promotion to a person."""

    def __init__(self, registry: RegistryClient, repository: MerchandisingRepository, lists: ShadowListRepository) -> None:
        self._registry = registry
        self._repository = repository
        self._lists = lists
        self._full_for = ""

    async def start(self) -> None:
        """Starts the shadow of the version that awaits promotion, if there is one and a place is free. One with lists had its shadow."""
        version = await self._registry.challenger()
        if version is None or not version.awaits_promotion or await self._lists.count(version.number):
            return
        if await self._repository.shadows.get(version.number):
            return
        try:
            await self._repository.replace_shadow(shadows_pb2.Shadow(id=version.number, traffic_share=_TRAFFIC_SHARE))
            _log.info("started the shadow of the version that was trained last", version=version.number)
        except FailedPrecondition as error:
            if self._full_for != version.number:
                _log.warning("a version waits for a place in shadow", version=version.number, reason=error.message)
            self._full_for = version.number
