"""The RPCs by which slots and rules are configured."""

from typing import TypeAlias

import grpc.aio
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from hashiramart.recommender.v1 import experiments_pb2, merchandising_pb2
from mesh.errors import NotFound
from mesh.paging import PageTokens, page_size
from services.recommender.catalog import CatalogFollower
from services.recommender.merchandising import Rule, Slot
from services.recommender.repository.merchandising import M, MerchandisingRepository, MessageTable
from services.recommender.rule_checks import check_rule

Context = grpc.aio.ServicerContext[Message, Message]
_PageRequest: TypeAlias = merchandising_pb2.ListSlotsRequest | merchandising_pb2.ListRulesRequest | experiments_pb2.ListExperimentsRequest


class MerchandisingServicer:
    """Lists and changes slots and rules. The recommender's servicer extends it."""

    def __init__(self, repository: MerchandisingRepository, catalog: CatalogFollower, page_tokens: PageTokens) -> None:
        self._repository = repository
        self._catalog = catalog
        self._page_tokens = page_tokens

    async def ListSlots(self, request: merchandising_pb2.ListSlotsRequest, context: Context) -> merchandising_pb2.ListSlotsResponse:
        page, token = await self._page(request, self._repository.slots)
        return merchandising_pb2.ListSlotsResponse(slots=page, next_page_token=token)

    async def GetSlot(self, request: merchandising_pb2.GetSlotRequest, context: Context) -> Slot:
        if (slot := await self._repository.slots.get(request.id)) is None:
            raise NotFound("slot", request.id)
        return slot

    async def ReplaceSlot(self, request: merchandising_pb2.ReplaceSlotRequest, context: Context) -> Slot:
        return await self._repository.replace_slot(request.slot)

    async def DeleteSlot(self, request: merchandising_pb2.DeleteSlotRequest, context: Context) -> Empty:
        await self._repository.delete_slot(request.id)
        return Empty()

    async def ListRules(self, request: merchandising_pb2.ListRulesRequest, context: Context) -> merchandising_pb2.ListRulesResponse:
        page, token = await self._page(request, self._repository.rules)
        return merchandising_pb2.ListRulesResponse(rules=page, next_page_token=token)

    async def GetRule(self, request: merchandising_pb2.GetRuleRequest, context: Context) -> Rule:
        if (rule := await self._repository.rules.get(request.id)) is None:
            raise NotFound("rule", request.id)
        return rule

    async def ReplaceRule(self, request: merchandising_pb2.ReplaceRuleRequest, context: Context) -> Rule:
        check_rule(request.rule, await self._slot_ids(), self._catalog.products)
        return await self._repository.replace_rule(request.rule)

    async def DeleteRule(self, request: merchandising_pb2.DeleteRuleRequest, context: Context) -> Empty:
        await self._repository.delete_rule(request.id)
        return Empty()

    async def _page(self, request: _PageRequest, table: MessageTable[M]) -> tuple[list[M], str]:
        """The page of a table that a request asks for, by id, and the token of the next one."""
        place, size = self._page_tokens.read(request), page_size(request.page_size)
        found = await table.page(str(place[0]) if place else "", size + 1)
        return found[:size], self._page_tokens.write(request, (found[size - 1].id,)) if len(found) > size else ""

    async def _slot_ids(self) -> set[str]:
        return {slot.id for slot in await self._repository.slots.all()}
