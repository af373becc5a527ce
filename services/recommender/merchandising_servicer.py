"""The RPCs that merchandisers configure slots and rules by."""

import grpc.aio
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from hashiramart.recommender.v1 import merchandising_pb2
from mesh.errors import NotFound
from mesh.paging import PageTokens, page_size
from services.recommender.catalog import CatalogFollower
from services.recommender.merchandising import Rule, Slot
from services.recommender.repository.merchandising import MerchandisingRepository
from services.recommender.rule_checks import check_rule

Context = grpc.aio.ServicerContext[Message, Message]

# More than there may be.
_ALL_SLOTS = 1000


class MerchandisingServicer:
    """Lists and changes slots and rules. The recommender's servicer extends it."""

    def __init__(self, repository: MerchandisingRepository, catalog: CatalogFollower, page_tokens: PageTokens) -> None:
        self._repository = repository
        self._catalog = catalog
        self._page_tokens = page_tokens

    async def ListSlots(self, request: merchandising_pb2.ListSlotsRequest, context: Context) -> merchandising_pb2.ListSlotsResponse:
        place, size = self._page_tokens.read(request), page_size(request.page_size)
        found = await self._repository.slots.page(str(place[0]) if place else "", size + 1)
        token = self._page_tokens.write(request, (found[size - 1].id,)) if len(found) > size else ""
        return merchandising_pb2.ListSlotsResponse(slots=found[:size], next_page_token=token)

    async def GetSlot(self, request: merchandising_pb2.GetSlotRequest, context: Context) -> Slot:
        if (slot := await self._repository.slots.get(request.id)) is None:
            raise NotFound("slot", request.id)
        return slot

    async def ReplaceSlot(self, request: merchandising_pb2.ReplaceSlotRequest, context: Context) -> Slot:
        return await self._repository.slots.replace(request.slot)

    async def DeleteSlot(self, request: merchandising_pb2.DeleteSlotRequest, context: Context) -> Empty:
        await self._repository.delete_slot(request.id)
        return Empty()

    async def ListRules(self, request: merchandising_pb2.ListRulesRequest, context: Context) -> merchandising_pb2.ListRulesResponse:
        place, size = self._page_tokens.read(request), page_size(request.page_size)
        found = await self._repository.rules.page(str(place[0]) if place else "", size + 1)
        token = self._page_tokens.write(request, (found[size - 1].id,)) if len(found) > size else ""
        return merchandising_pb2.ListRulesResponse(rules=found[:size], next_page_token=token)

    async def GetRule(self, request: merchandising_pb2.GetRuleRequest, context: Context) -> Rule:
        if (rule := await self._repository.rules.get(request.id)) is None:
            raise NotFound("rule", request.id)
        return rule

    async def ReplaceRule(self, request: merchandising_pb2.ReplaceRuleRequest, context: Context) -> Rule:
        slots = {slot.id for slot in await self._repository.slots.page("", _ALL_SLOTS)}
        check_rule(request.rule, slots, self._catalog.products)
        return await self._repository.rules.replace(request.rule)

    async def DeleteRule(self, request: merchandising_pb2.DeleteRuleRequest, context: Context) -> Empty:
        await self._repository.rules.delete(request.id)
        return Empty()
