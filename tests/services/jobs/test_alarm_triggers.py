"""Schedules that train the forecaster while an alarm is on."""

from collections.abc import Iterator
from datetime import UTC, timedelta

import pytest

from hashiramart.forecaster.v1 import accuracy_pb2, accuracy_pb2_grpc
from hashiramart.jobs.v1 import jobs_pb2, schedules_pb2
from hashiramart.jobs.v1.schedules_pb2 import AlarmTrigger
from hashiramart.model.v1 import model_pb2
from mesh import channel
from mesh.identity import Role, TokenVerifier
from mesh.server import Server
from mesh.settings import MeshSettings
from services.jobs.alarms import ForecastAlarms
from tests.callers import Issuer
from tests.engines.ports import free_port
from tests.loops import Loop
from tests.services.jobs.planner import Planner
from tests.services.jobs.replica import JobsReplica

TRAINING = jobs_pb2.TrainingSpec(model=model_pb2.MODEL_KIND_FORECASTER)
WEEK = AlarmTrigger(min_interval_days=7)
QUIET, SUBMITTED, WAITING, UNAVAILABLE = (
    schedules_pb2.ALARM_CHECK_OUTCOME_QUIET,
    schedules_pb2.ALARM_CHECK_OUTCOME_SUBMITTED,
    schedules_pb2.ALARM_CHECK_OUTCOME_WAITING,
    schedules_pb2.ALARM_CHECK_OUTCOME_FORECASTER_UNAVAILABLE,
)
MINUTE = timedelta(minutes=1, seconds=1)


@pytest.fixture
def schedule(planner: Planner, replica: JobsReplica) -> Iterator[str]:
    """The id of a schedule that follows alarms."""
    replica.end_all()
    id = planner.create(training_spec=TRAINING, alarm_trigger=WEEK).id
    yield id
    planner.delete(id)


def check_of(planner: Planner, id: str) -> tuple[int, int]:
    check = planner.get(id).last_alarm_check
    return check.outcome, check.firing_count


def test_an_alarm_has_the_forecaster_trained_once_in_a_period(planner: Planner, replica: JobsReplica, schedule: str) -> None:
    assert not planner.get(schedule).HasField("last_alarm_check")
    planner.look(0)
    assert (check_of(planner, schedule), planner.jobs(schedule)) == ((QUIET, 0), [])
    planner.look(2)
    # It looked right before.
    assert planner.jobs(schedule) == []
    planner.let_pass(schedule, MINUTE)
    planner.look(2)
    [job] = planner.jobs(schedule)
    state = planner.get(schedule)
    assert (job.training_spec.model, job.submitted_by, job.HasField("due_time")) == (TRAINING.model, "ann", False)
    assert (check_of(planner, schedule), state.last_job_id) == ((SUBMITTED, 2), job.id)
    assert (state.last_run.by_alarm, state.last_run.HasField("due_time")) == (True, False)
    assert state.next_run_time.ToDatetime(UTC).month == 1
    for passed in (MINUTE, timedelta(days=6)):
        planner.let_pass(schedule, passed)
        planner.look(2)
        assert (check_of(planner, schedule)[0], len(planner.jobs(schedule))) == (WAITING, 1)
    planner.let_pass(schedule, timedelta(days=1))
    planner.look(2)
    # The job before has not ended.
    assert (check_of(planner, schedule)[0], len(planner.jobs(schedule))) == (WAITING, 1)
    replica.end_all()
    planner.let_pass(schedule, MINUTE)
    planner.look(2)
    assert len(planner.jobs(schedule)) == 2


def test_a_job_that_was_due_or_called_for_counts_as_well(planner: Planner, replica: JobsReplica, schedule: str) -> None:
    planner.make_due(schedule)
    planner.tick()
    replica.end_all()
    planner.look(1)
    state = planner.get(schedule)
    assert (state.last_alarm_check.outcome, state.last_run.by_alarm) == (WAITING, False)
    planner.let_pass(schedule, timedelta(days=8))
    planner.run(schedule)
    replica.end_all()
    planner.look(1)
    assert (check_of(planner, schedule)[0], len(planner.jobs(schedule))) == (WAITING, 2)


def test_a_forecaster_that_is_away_is_asked_again(planner: Planner, schedule: str) -> None:
    planner.look(None)
    assert (check_of(planner, schedule), planner.jobs(schedule)) == ((UNAVAILABLE, 0), [])
    planner.let_pass(schedule, MINUTE)
    planner.look(1)
    assert len(planner.jobs(schedule)) == 1


def test_a_paused_schedule_and_one_without_a_trigger_follow_no_alarm(planner: Planner, schedule: str) -> None:
    planner.update(schedule, ("paused",), paused=True)
    other = planner.create("quiet", training_spec=TRAINING).id
    planner.look(1)
    assert planner.jobs(schedule) == planner.jobs(other) == []
    planner.update(schedule, ("paused", "alarm_trigger"), paused=False)
    planner.look(1)
    assert planner.jobs(schedule) == []
    assert not planner.get(schedule).HasField("alarm_trigger")


class Alarms(accuracy_pb2_grpc.ForecastAccuracyServiceServicer):
    """A forecaster with two alarms on, of three."""

    async def GetForecastAccuracy(  # noqa: N802 the contract's name
        self, request: accuracy_pb2.GetForecastAccuracyRequest, context: object
    ) -> accuracy_pb2.ForecastAccuracy:
        states = (accuracy_pb2.FORECAST_ALARM_STATE_FIRING, accuracy_pb2.FORECAST_ALARM_STATE_OK, accuracy_pb2.FORECAST_ALARM_STATE_FIRING)
        return accuracy_pb2.ForecastAccuracy(alarms=[accuracy_pb2.ForecastAlarm(state=state) for state in states])

    async def ListForecastOutliers(  # noqa: N802 the contract's name
        self, request: accuracy_pb2.ListForecastOutliersRequest, context: object
    ) -> accuracy_pb2.ListForecastOutliersResponse:
        return accuracy_pb2.ListForecastOutliersResponse()


def test_the_forecaster_lets_the_jobs_service_read_its_alarms_and_no_other_service(
    loop: Loop, mesh_settings: MeshSettings, issuer: Issuer
) -> None:
    address = f"127.0.0.1:{free_port()}"
    service = accuracy_pb2.DESCRIPTOR.services_by_name["ForecastAccuracyService"]

    async def counted(caller: str) -> int | None:
        async def proof() -> tuple[tuple[str, str], ...]:
            return issuer.metadata(Role.SERVICE, caller)

        async with channel.connect(address, service, mesh_settings, proof) as forecaster:
            return await ForecastAlarms(forecaster).count_firing()

    async def check() -> None:
        server = Server(address, mesh_settings, TokenVerifier(mesh_settings.jwt_issuer, mesh_settings.jwt_audience, issuer))
        accuracy_pb2_grpc.add_ForecastAccuracyServiceServicer_to_server(Alarms(), server)
        await server.start()
        assert [await counted("jobs"), await counted("catalog")] == [2, None]
        await server.stop(0)
        assert await counted("jobs") is None

    loop.run(check())
