"""The RPCs by which slots, rules and experiments are configured."""

from datetime import UTC, datetime
from typing import TypeAlias

import grpc.aio
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from hashiramart.recommender.v1 import experiments_pb2, merchandising_pb2
from mesh.errors import NotFound
from mesh.paging import PageTokens, page_size
from mesh.timestamps import to_datetime
from services.recommender.catalog import CatalogFollower
from services.recommender.experiment_report import experiment_report
from services.recommender.experiments import CONCLUDED, DRAFT, Experiment, check_experiment, outcome_window
from services.recommender.merchandising import Rule, Slot
from services.recommender.repository.merchandising import M, MerchandisingRepository, MessageTable
from services.recommender.repository.participants import ParticipantRepository
from services.recommender.rule_checks import check_rule

Context = grpc.aio.ServicerContext[Message, Message]
_PageRequest: TypeAlias = merchandising_pb2.ListSlotsRequest | merchandising_pb2.ListRulesRequest | experiments_pb2.ListExperimentsRequest


class MerchandisingServicer:
    """Lists and changes slots, rules and experiments. The recommender's servicer extends it."""

    def __init__(
        self, repository: MerchandisingRepository, participants: ParticipantRepository, catalog: CatalogFollower, page_tokens: PageTokens
    ) -> None:
        self._repository = repository
        self._participants = participants
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

    async def ListExperiments(
        self, request: experiments_pb2.ListExperimentsRequest, context: Context
    ) -> experiments_pb2.ListExperimentsResponse:
        page, token = await self._page(request, self._repository.experiments)
        return experiments_pb2.ListExperimentsResponse(experiments=page, next_page_token=token)

    async def GetExperiment(self, request: experiments_pb2.GetExperimentRequest, context: Context) -> Experiment:
        return await self._experiment(request.id)

    async def ReplaceExperiment(self, request: experiments_pb2.ReplaceExperimentRequest, context: Context) -> Experiment:
        check_experiment(request.experiment, await self._slot_ids(), self._catalog.products)
        return await self._repository.replace_experiment(request.experiment)

    async def DeleteExperiment(self, request: experiments_pb2.DeleteExperimentRequest, context: Context) -> Empty:
        await self._repository.delete_experiment(request.id)
        return Empty()

    async def StartExperiment(self, request: experiments_pb2.StartExperimentRequest, context: Context) -> Experiment:
        experiment = await self._experiment(request.id)
        if experiment.state == DRAFT:
            check_experiment(experiment, await self._slot_ids(), self._catalog.products)
        return await self._repository.start_experiment(request.id)

    async def StopExperiment(self, request: experiments_pb2.StopExperimentRequest, context: Context) -> Experiment:
        return await self._repository.stop_experiment(request.id)

    async def ConcludeExperiment(self, request: experiments_pb2.ConcludeExperimentRequest, context: Context) -> Experiment:
        experiment = await self._experiment(request.id)
        if request.decision == experiments_pb2.EXPERIMENT_DECISION_KEEP and experiment.state != CONCLUDED:
            check_experiment(experiment, await self._slot_ids(), self._catalog.products)
        return await self._repository.conclude_experiment(request.id, request.decision, request.reason)

    async def GetExperimentReport(
        self, request: experiments_pb2.GetExperimentReportRequest, context: Context
    ) -> experiments_pb2.ExperimentReport:
        experiment = await self._experiment(request.id)
        through = to_datetime(experiment.stop_time) if experiment.HasField("stop_time") else datetime.now(UTC)
        if request.HasField("through_time"):
            through = min(through, to_datetime(request.through_time))
        start = to_datetime(experiment.start_time) if experiment.HasField("start_time") else through
        outcomes = await self._participants.outcomes(experiment.id, start, through, outcome_window(experiment))
        return experiment_report(experiment, through, outcomes)

    async def _page(self, request: _PageRequest, table: MessageTable[M]) -> tuple[list[M], str]:
        """The page of a table that a request asks for, by id, and the token of the next one."""
        place, size = self._page_tokens.read(request), page_size(request.page_size)
        found = await table.page(str(place[0]) if place else "", size + 1)
        return found[:size], self._page_tokens.write(request, (found[size - 1].id,)) if len(found) > size else ""

    async def _experiment(self, id: str) -> Experiment:
        if (experiment := await self._repository.experiments.get(id)) is None:
            raise NotFound("experiment", id)
        return experiment

    async def _slot_ids(self) -> set[str]:
        return {slot.id for slot in await self._repository.slots.all()}
