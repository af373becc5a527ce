"""The RPCs by which experiments are configured, read and concluded."""

from datetime import UTC, datetime

import grpc.aio
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from hashiramart.model.v1 import model_pb2
from hashiramart.recommender.v1 import experiments_pb2
from mesh.errors import NotFound, PermissionDenied
from mesh.identity import Role, caller
from mesh.paging import PageTokens
from mesh.timestamps import to_datetime
from ml.experiments.assignment import Arm
from ml.recommender.model import Recommender
from ml.registry.champion import Champion
from ml.registry.client import GateNotPassed, RegistryClient
from services.recommender.catalog import CatalogFollower
from services.recommender.experiment_checks import check_experiment
from services.recommender.experiment_report import experiment_report
from services.recommender.experiments import (
    DRAFT,
    RUNNING,
    Experiment,
    arm_version,
    arm_versions,
    conclude,
    outcome_window,
)
from services.recommender.merchandising_servicer import MerchandisingServicer
from services.recommender.repository.merchandising import MerchandisingRepository
from services.recommender.repository.participants import ParticipantRepository
from services.recommender.shadow_servicer import ShadowServicer
from services.recommender.shadows import Shadows
from services.recommender.versions import LoadedVersions

Context = grpc.aio.ServicerContext[Message, Message]


class ExperimentServicer(ShadowServicer, MerchandisingServicer):
    """Lists and changes experiments, whose arms are settings of slots or versions of the model. The recommender's servicer extends it."""

    def __init__(
        self,
        registry: RegistryClient,
        champion: Champion[Recommender],
        catalog: CatalogFollower,
        page_tokens: PageTokens,
        time_zone: str,
        repository: MerchandisingRepository,
        participants: ParticipantRepository,
        versions: LoadedVersions,
        shadows: Shadows,
        required_shadow_lists: int,
    ) -> None:
        """time_zone: of the days in answers, an IANA name
        required_shadow_lists: how many lists a version has to make in shadow before it is promoted, or in an experiment
        """
        super().__init__(registry, champion, page_tokens, time_zone, repository, versions, shadows, required_shadow_lists)
        MerchandisingServicer.__init__(self, repository, catalog, page_tokens)
        self._participants = participants

    async def ListExperiments(
        self, request: experiments_pb2.ListExperimentsRequest, context: Context
    ) -> experiments_pb2.ListExperimentsResponse:
        page, token = await self._page(request, self._repository.experiments)
        return experiments_pb2.ListExperimentsResponse(experiments=page, next_page_token=token)

    async def GetExperiment(self, request: experiments_pb2.GetExperimentRequest, context: Context) -> Experiment:
        return await self._experiment(request.id)

    async def ReplaceExperiment(self, request: experiments_pb2.ReplaceExperimentRequest, context: Context) -> Experiment:
        await self._check(request.experiment)
        return await self._repository.replace_experiment(request.experiment)

    async def DeleteExperiment(self, request: experiments_pb2.DeleteExperimentRequest, context: Context) -> Empty:
        await self._repository.delete_experiment(request.id)
        return Empty()

    async def StartExperiment(self, request: experiments_pb2.StartExperimentRequest, context: Context) -> Experiment:
        experiment = await self._experiment(request.id)
        champion = ""
        if experiment.state == DRAFT:
            champion = await self._check(experiment)
            for version in sorted(arm_versions(experiment) - {champion}):
                await self._require_shadow_lists(version)
        return await self._repository.start_experiment(request.id, champion)

    async def StopExperiment(self, request: experiments_pb2.StopExperimentRequest, context: Context) -> Experiment:
        return await self._repository.stop_experiment(request.id)

    async def ConcludeExperiment(self, request: experiments_pb2.ConcludeExperimentRequest, context: Context) -> Experiment:
        experiment = await self._experiment(request.id)
        concluded = conclude(experiment, request.decision, request.reason, datetime.now(UTC))
        if concluded.promotion_pending:
            await self._check_promotion(self._promotion(experiment, request))
        elif concluded is not experiment and request.decision == experiments_pb2.EXPERIMENT_DECISION_KEEP:
            check_experiment(experiment, await self._slot_ids(), self._catalog.products)
        # Of two calls that decide otherwise, the database refuses one before anything is promoted. A call that ends between the steps has
        # decided; the same call promotes.
        concluded = await self._repository.conclude_experiment(request.id, request.decision, request.reason)
        if concluded.promotion_pending:
            await self.PromoteModel(self._promotion(concluded, request), context)
            concluded = await self._repository.end_promotion(request.id)
        return concluded

    async def GetExperimentReport(
        self, request: experiments_pb2.GetExperimentReportRequest, context: Context
    ) -> experiments_pb2.ExperimentReport:
        experiment = await self._experiment(request.id)
        through = to_datetime(experiment.stop_time) if experiment.HasField("stop_time") else datetime.now(UTC)
        if request.HasField("through_time"):
            through = min(through, to_datetime(request.through_time))
        start = to_datetime(experiment.start_time) if experiment.HasField("start_time") else through
        outcomes = await self._participants.outcomes(experiment.id, start, through, outcome_window(experiment))
        report = experiment_report(experiment, through, outcomes)
        if experiment.state == RUNNING:
            for arm, arm_report in ((Arm.CONTROL, report.control), (Arm.TREATMENT, report.treatment)):
                arm_report.load_error = self._versions.challengers.error(arm_version(experiment, arm))
        return report

    async def _check(self, experiment: Experiment) -> str:
        """Raises unless an experiment can be applied, with the versions of its arms; returns the number of the champion, if it has such."""
        if not experiment.treatment_version:
            check_experiment(experiment, await self._slot_ids(), self._catalog.products)
            return ""
        with self._registry_errors():
            if (champion := await self._champion.in_registry()) is None:
                raise self._no_model()
        check_experiment(experiment, await self._slot_ids(), self._catalog.products, champion.number)
        for number in sorted(arm_versions(experiment)):
            with self._registry_errors(number):
                # Shoppers see no version that could not be the champion.
                if not self._champion.is_approved(await self._registry.get(number)):
                    raise GateNotPassed
        return champion.number

    def _promotion(self, experiment: Experiment, request: experiments_pb2.ConcludeExperimentRequest) -> model_pb2.PromoteModelRequest:
        """The promotion of the treatment's version. Changes nothing if it is the champion already. Raises `PermissionDenied`."""
        if (role := caller().role) is not Role.ADMIN:
            message = "the role '{role}' may not keep a version of the model, which promotes it"
            raise PermissionDenied("ROLE_NOT_ALLOWED", message, role=role)
        return model_pb2.PromoteModelRequest(
            version=experiment.treatment_version,
            expected_champion_version=request.expected_champion_version or experiment.champion_version,
            reason=request.reason or f"kept after the experiment '{experiment.id}'",
        )

    async def _experiment(self, id: str) -> Experiment:
        if (experiment := await self._repository.experiments.get(id)) is None:
            raise NotFound("experiment", id)
        return experiment
