"""Schedules: their due times, their jobs, and what people do with them."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest

from hashiramart.jobs.v1 import jobs_pb2, schedules_pb2
from hashiramart.jobs.v1.schedules_pb2 import AlarmTrigger
from hashiramart.jobs.v1.schedules_pb2_grpc import ScheduleServiceStub
from hashiramart.model.v1 import model_pb2
from mesh import database
from mesh.identity import Role
from mesh.settings import MeshSettings
from services.jobs.schedule_repository import ScheduleRepository
from services.jobs.schedules import latest_due_time, next_due_time
from tests.callers import Issuer
from tests.loops import Loop
from tests.services.errors import fails_with
from tests.services.jobs.planner import ETL, LONDON, Planner
from tests.services.jobs.replica import TIME_ZONE, JobsReplica

CODE = grpc.StatusCode
TRAINING = jobs_pb2.TrainingSpec(model=model_pb2.MODEL_KIND_RECOMMENDER)
SUBMITTED, MISSED, STILL_RUNNING = (
    schedules_pb2.SCHEDULE_RUN_OUTCOME_SUBMITTED,
    schedules_pb2.SCHEDULE_RUN_OUTCOME_MISSED,
    schedules_pb2.SCHEDULE_RUN_OUTCOME_STILL_RUNNING,
)
SKIP, RUN_ONCE = schedules_pb2.CATCH_UP_SKIP, schedules_pb2.CATCH_UP_RUN_ONCE


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("cron", "after", "expected"),
    [
        ("30 3 * * MON", "2026-11-28T12:00+00:00", ["2026-11-30T03:30+00:00", "2026-12-07T03:30+00:00"]),
        # Summer and winter alike at half past three in London.
        ("30 3 * * *", "2026-03-27T12:00+00:00", ["2026-03-28T03:30+00:00", "2026-03-29T02:30+00:00"]),
        # In the night to 29 March clocks go from one to two: half past one is skipped, and the run is due at two.
        ("30 1 * * *", "2026-03-28T12:00+00:00", ["2026-03-29T01:00+00:00", "2026-03-30T00:30+00:00"]),
        # In the night to 25 October half past one comes twice, an hour apart: the run is due at the first.
        ("30 1 * * *", "2026-10-24T12:00+00:00", ["2026-10-25T00:30+00:00", "2026-10-26T01:30+00:00"]),
        # Also for who looks between the two.
        ("45 1 * * *", "2026-10-25T01:30+00:00", ["2026-10-26T01:45+00:00"]),
        # What runs every hour does so in both of them.
        ("0 * * * *", "2026-10-24T23:30+00:00", ["2026-10-25T00:00+00:00", "2026-10-25T01:00+00:00", "2026-10-25T02:00+00:00"]),
        ("0 4 L * *", "2026-02-01T00:00+00:00", ["2026-02-28T04:00+00:00", "2026-03-31T03:00+00:00"]),
    ],
)
def test_due_times_follow_the_clocks_of_the_zone(cron: str, after: str, expected: list[str]) -> None:
    time, found = at(after), []
    for _ in expected:
        due = next_due_time(cron, TIME_ZONE, time)
        assert due is not None
        time = due
        found.append(due)
    assert found == [at(text) for text in expected]


@pytest.mark.parametrize(
    ("cron", "first", "now", "expected"),
    [
        ("30 3 * * *", "2026-11-20T03:30+00:00", "2026-11-28T12:00+00:00", "2026-11-28T03:30+00:00"),
        ("30 3 * * *", "2026-11-28T03:30+00:00", "2026-11-28T03:30+00:00", "2026-11-28T03:30+00:00"),
        ("30 1 * * *", "2026-03-29T01:00+00:00", "2026-03-29T01:10+00:00", "2026-03-29T01:00+00:00"),
        # Between the two half past ones: the first has passed.
        ("30 1 * * *", "2026-10-25T00:30+00:00", "2026-10-25T01:10+00:00", "2026-10-25T00:30+00:00"),
        ("* * * * *", "2026-01-01T00:00+00:00", "2026-11-28T12:00:30+00:00", "2026-11-28T12:00+00:00"),
    ],
)
def test_of_many_missed_due_times_the_last_one_counts(cron: str, first: str, now: str, expected: str) -> None:
    assert latest_due_time(cron, TIME_ZONE, at(first), at(now)) == at(expected)


def test_a_schedule_is_answered_with_its_next_run_and_defaults(planner: Planner) -> None:
    schedule = planner.create(training_spec=TRAINING, name="Weekly")
    assert planner.get(schedule.id) == schedule
    assert (schedule.name, schedule.time_zone, schedule.catch_up, schedule.created_by) == ("Weekly", TIME_ZONE, RUN_ONCE, "ann")
    assert schedule.training_spec.recipe == model_pb2.RECIPE_FULL
    due = schedule.next_run_time.ToDatetime(UTC)
    assert (due.month, due.day, due.hour, due.minute) == (1, 1, 3, 30)
    assert not schedule.HasField("last_run") and not schedule.last_job_id


def test_a_due_run_becomes_one_job_that_names_its_schedule(planner: Planner) -> None:
    id = planner.create("nightly", etl_spec=jobs_pb2.EtlSpec(full=True), through_yesterday=True).id
    planner.make_due(id)
    due = planner.get(id).next_run_time
    planner.tick()
    planner.tick()
    schedule, [job] = planner.get(id), planner.jobs(id)
    yesterday = due.ToDatetime(UTC).astimezone(LONDON).date() - timedelta(days=1)
    assert (job.schedule_id, job.due_time, job.submitted_by) == (id, due, "ann")
    assert (job.etl_spec.full, job.etl_spec.through_date) == (True, yesterday.isoformat())
    assert (schedule.last_run.outcome, schedule.last_run.due_time, schedule.last_job_id) == (SUBMITTED, due, job.id)
    assert schedule.last_job_state == jobs_pb2.JOB_STATE_QUEUED
    assert schedule.next_run_time.ToDatetime(UTC) > datetime.now(UTC)


def test_two_replicas_and_many_ticks_make_one_job_for_each_due_time(
    planner: Planner, loop: Loop, database_url: str, mesh_settings: MeshSettings
) -> None:
    ids = [planner.create(f"each-{number}").id for number in range(10)]

    async def tick(other: ScheduleRepository) -> None:
        await other.submit_due()

    other = loop.run(database.connect(database_url, mesh_settings))
    try:
        for id in ids:
            planner.make_due(id)
        replicas = [planner.repository, ScheduleRepository(other, LONDON)] * 4
        with ThreadPoolExecutor(len(replicas)) as threads:
            list(threads.map(lambda repository: loop.run(tick(repository)), replicas))
    finally:
        loop.run(other.close())
    assert [len(planner.jobs(id)) for id in ids] == [1] * len(ids)


REPLICA = """
import asyncio, sys
from zoneinfo import ZoneInfo
from mesh import database
from mesh.settings import MeshSettings, read
from services.jobs.schedule_repository import ScheduleRepository

async def main():
    async with await database.connect(sys.argv[1], read(MeshSettings)) as postgres:
        schedules = ScheduleRepository(postgres, ZoneInfo("UTC"))
        while True:
            await schedules.submit_due()

asyncio.run(main())
"""


def test_a_replica_that_is_killed_meanwhile_submits_nothing_twice(planner: Planner, database_url: str) -> None:
    ids = [planner.create(f"killed-{number}").id for number in range(50)]
    process = subprocess.Popen([sys.executable, "-c", REPLICA, database_url])
    try:
        for id in ids:
            planner.make_due(id)
        while not planner.jobs(ids[0]):
            assert process.poll() is None
    finally:
        process.kill()
        process.wait()
    planner.tick()
    assert [len(planner.jobs(id)) for id in ids] == [1] * len(ids)


def test_a_run_that_was_missed_is_made_up_for_once(planner: Planner) -> None:
    planner.create("made-up", "0 * * * *")
    planner.make_due("made-up", timedelta(hours=7, minutes=1))
    planner.tick()
    planner.tick()
    [job] = planner.jobs("made-up")
    assert datetime.now(UTC) - job.due_time.ToDatetime(UTC) < timedelta(hours=1)


def test_a_run_that_was_missed_is_left_out_if_the_schedule_says_so(planner: Planner) -> None:
    planner.create("left-out", catch_up=SKIP)
    planner.make_due("left-out", timedelta(hours=1))
    planner.tick()
    schedule = planner.get("left-out")
    assert (planner.jobs("left-out"), schedule.last_run.outcome) == ([], MISSED)
    assert schedule.next_run_time.ToDatetime(UTC) > datetime.now(UTC)


def test_a_schedule_has_one_job_at_a_time(planner: Planner, replica: JobsReplica) -> None:
    replica.end_all()
    planner.create("waits")
    planner.create("skips", catch_up=SKIP)
    first = planner.run("waits").id
    planner.run("skips")
    for id in ("waits", "skips"):
        planner.make_due(id)
    planner.tick()
    with fails_with(CODE.FAILED_PRECONDITION, "SCHEDULE_RUNNING"):
        planner.run("waits")
    assert planner.get("skips").last_run.outcome == STILL_RUNNING
    assert [job.id for job in planner.jobs("waits")] == [first]
    replica.end_all()
    planner.tick()
    assert (len(planner.jobs("waits")), len(planner.jobs("skips"))) == (2, 1)


def test_a_schedule_runs_on_call_also_while_it_is_paused(planner: Planner) -> None:
    id = planner.create("on-call", training_spec=TRAINING, paused=True).id
    job = planner.run(id, request_id="once")
    assert planner.run(id, request_id="once").id == job.id
    assert (job.schedule_id, job.HasField("due_time"), job.training_spec.model) == (id, False, TRAINING.model)
    schedule = planner.get(id)
    assert (schedule.last_job_id, schedule.HasField("next_run_time")) == (job.id, False)


def test_a_pause_leaves_out_runs_and_its_end_starts_from_now(planner: Planner) -> None:
    id = planner.create("paused").id
    planner.make_due(id, timedelta(days=1))
    assert not planner.update(id, paused=True).HasField("next_run_time")
    planner.tick()
    # Without a mask, a field with its default value would not be changed.
    resumed = planner.update(id, ("paused",), paused=False)
    planner.tick()
    assert resumed.next_run_time.ToDatetime(UTC) > datetime.now(UTC)
    assert planner.jobs(id) == []


def test_a_change_keeps_the_rest_and_a_due_time_unless_the_times_change(planner: Planner) -> None:
    created = planner.create("changed", etl_spec=jobs_pb2.EtlSpec(full=True))
    renamed = planner.update("changed", name="New", etag=created.etag)
    assert (renamed.name, renamed.etl_spec.full, renamed.next_run_time) == ("New", True, created.next_run_time)
    with fails_with(CODE.ABORTED, "STALE_ETAG"):
        planner.update("changed", name="Newer", etag=created.etag)
    trains = planner.update("changed", ("training_spec", "cron"), training_spec=TRAINING, cron="0 4 1 6 *")
    assert (trains.WhichOneof("spec"), trains.next_run_time.ToDatetime(UTC).month) == ("training_spec", 6)
    again = planner.update("changed", ("*",), cron="0 5 * * *", etl_spec=ETL)
    assert (again.WhichOneof("spec"), again.name) == ("etl_spec", "")


def test_a_repeated_create_makes_one_schedule(planner: Planner) -> None:
    first = planner.create(request_id="create-once")
    assert planner.create(request_id="create-once").id == first.id
    planner.create("taken")
    with fails_with(CODE.ALREADY_EXISTS, "SCHEDULE_EXISTS"):
        planner.create("taken")


def test_a_deleted_schedule_submits_nothing_and_its_jobs_stay(planner: Planner) -> None:
    schedule = planner.create("deleted")
    planner.run("deleted")
    with fails_with(CODE.ABORTED, "STALE_ETAG"):
        planner.delete("deleted", "ff")
    planner.make_due("deleted")
    planner.delete("deleted", schedule.etag)
    planner.delete("deleted")
    planner.tick()
    assert len(planner.jobs("deleted")) == 1
    with fails_with(CODE.NOT_FOUND, "SCHEDULE_NOT_FOUND"):
        planner.get("deleted")


def test_schedules_are_paged_by_id(planner: Planner) -> None:
    ids = [planner.create(f"page-{letter}").id for letter in "cab"]
    found, token = list[str](), ""
    while True:
        page = planner.page(page_size=2, page_token=token)
        found += [schedule.id for schedule in page.schedules]
        token = page.next_page_token
        if not token:
            break
    assert found == sorted(found) and set(ids) <= set(found)


@pytest.mark.parametrize(
    ("field", "reason", "fields"),
    [
        ("schedule.cron", "SCHEDULE_INVALID", {"cron": ""}),
        ("schedule.cron", "SCHEDULE_INVALID", {"cron": "61 * * * *"}),
        ("schedule.cron", "SCHEDULE_INVALID", {"cron": "* * * * * *"}),
        ("schedule.cron", "SCHEDULE_INVALID", {"cron": "0 0 30 2 *"}),
        ("schedule.cron", "SCHEDULE_INVALID", {"cron": "* * */20 * 1L"}),
        ("schedule.time_zone", "SCHEDULE_INVALID", {"time_zone": "Mars/Olympus"}),
        ("schedule.time_zone", "SCHEDULE_INVALID", {"time_zone": "/etc/passwd"}),
        ("schedule.etl_spec.through_date", "INVALID_REQUEST", {"etl_spec": jobs_pb2.EtlSpec(through_date="2011-12-09")}),
        ("schedule.training_spec.model", "INVALID_REQUEST", {"training_spec": jobs_pb2.TrainingSpec()}),
        ("schedule.etl_spec", "INVALID_REQUEST", {"etl_spec": None}),
        ("schedule.alarm_trigger", "SCHEDULE_INVALID", {"alarm_trigger": AlarmTrigger(min_interval_days=7)}),
        ("schedule.alarm_trigger.min_interval_days", "INVALID_REQUEST", {"alarm_trigger": AlarmTrigger()}),
    ],
)
def test_a_schedule_that_cannot_be_kept_is_refused(planner: Planner, field: str, reason: str, fields: dict[str, Any]) -> None:
    with fails_with(CODE.INVALID_ARGUMENT, reason) as violations:
        planner.create(**fields)
    assert [*violations] == [field]


def test_schedules_are_for_staff(schedule_stub: ScheduleServiceStub, issuer: Issuer) -> None:
    with fails_with(CODE.PERMISSION_DENIED, "ROLE_NOT_ALLOWED"):
        schedule_stub.ListSchedules(schedules_pb2.ListSchedulesRequest(), metadata=issuer.metadata(Role.CUSTOMER, "bob"), timeout=10)
