"""Jobs: submitted, claimed, listed, cancelled."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from hashiramart.jobs.v1 import jobs_pb2
from services.jobs.domain import Job
from tests.services.catalog.shop import refused
from tests.services.jobs.replica import Replica
from tests.services.jobs.staff import Staff

CODE = grpc.StatusCode


@pytest.fixture(autouse=True)
def _nothing_to_do(replica: Replica) -> None:
    replica.end_all()


def claimed(replica: Replica, holder: str = "worker", lease_seconds: float = 60) -> Job:
    job = replica.claim(holder, lease_seconds)
    assert job is not None
    return job


def test_a_submitted_job_is_answered_at_once_and_waits(staff: Staff) -> None:
    job = staff.submit("2011-12-09", full=True)
    assert staff.get(job.id) == job
    assert (job.kind, job.state, job.submitted_by) == (jobs_pb2.JOB_KIND_ETL, jobs_pb2.JOB_STATE_QUEUED, "ann")
    assert not job.HasField("start_time") and not job.HasField("failure") and not job.HasField("etl")


def test_twenty_at_once_under_one_request_id_make_one_job(staff: Staff) -> None:
    before = len(staff.page(page_size=100).jobs)
    with ThreadPoolExecutor(20) as callers:
        jobs = list(callers.map(lambda _: staff.submit(request_id="once"), range(20)))
    assert {job.id for job in jobs} == {jobs[0].id}
    assert len(staff.page(page_size=100).jobs) == before + 1


def test_a_request_id_stands_for_one_request_of_one_caller(staff: Staff, replica: Replica) -> None:
    first = staff.submit("2011-12-08", request_id="again")
    claimed(replica)
    assert staff.submit("2011-12-08", request_id="again").id == first.id
    with refused(CODE.INVALID_ARGUMENT, "REQUEST_ID_REUSED") as violations:
        staff.submit("2011-12-09", request_id="again")
    assert [*violations] == ["request_id"]


def test_a_day_that_no_calendar_has_is_refused(staff: Staff) -> None:
    with refused(CODE.INVALID_ARGUMENT, "INVALID_REQUEST") as violations:
        staff.submit("2011-02-29")
    assert [*violations] == ["through_date"]


def test_a_training_is_a_job_of_a_model_and_by_the_full_recipe_unless_told_otherwise(staff: Staff, replica: Replica) -> None:
    job = staff.submit_training("recommender", request_id="train")
    assert staff.get(job.id) == job
    assert (job.kind, job.model, job.state) == (jobs_pb2.JOB_KIND_TRAINING, "recommender", jobs_pb2.JOB_STATE_QUEUED)
    assert staff.submit_training("recommender", request_id="train").id == job.id
    with refused(CODE.INVALID_ARGUMENT, "REQUEST_ID_REUSED"):
        staff.submit_training("forecaster", request_id="train")
    staff.submit_training("forecaster", "quick")
    full = claimed(replica)
    replica.succeed(full)
    assert (full.recipe, claimed(replica, "another").recipe) == ("full", "quick")


@pytest.mark.parametrize(
    ("field", "request_of"),
    [
        ("model", lambda staff: staff.submit_training("oracle")),
        ("recipe", lambda staff: staff.submit_training("recommender", "slow")),
        ("through_date", lambda staff: staff.submit_training("recommender", through_date="2011-02-29")),
    ],
)
def test_a_training_of_what_there_is_not_is_refused(staff: Staff, field: str, request_of: Callable[[Staff], object]) -> None:
    with refused(CODE.INVALID_ARGUMENT, "INVALID_REQUEST") as violations:
        request_of(staff)
    assert [*violations] == [field]


def test_what_is_trained_keeps_no_etl_from_running(staff: Staff, replica: Replica) -> None:
    ids = [staff.submit_training("recommender").id, staff.submit().id, staff.submit_training("forecaster").id]
    job = claimed(replica)
    training = replica.save(job.cleaned({"row_count": 3}, job.create_time)._replace(application_id="application_1"))
    assert training is not None and training.id == ids[0]
    assert claimed(replica, "another").id == ids[1]
    assert replica.claim("third") is None
    # Nor does an ETL keep it from going on, if it had to wait.
    replica.try_again_at_once(training)
    again = claimed(replica, "third")
    assert (again.id, again.attempt_count, again.application_id) == (ids[0], 2, "application_1")
    assert staff.get(ids[0]).etl.row_count == 3


def test_jobs_are_for_staff(customer: Staff) -> None:
    with refused(CODE.PERMISSION_DENIED, "ROLE_NOT_ALLOWED"):
        customer.submit()


def test_a_job_that_is_not_there_is_not_found(staff: Staff) -> None:
    for call in (staff.get, staff.cancel, staff.lines, lambda id: next(staff.watch(id))):
        with refused(CODE.NOT_FOUND, "JOB_NOT_FOUND"):
            call("nothing")


def test_jobs_are_paged_newest_first_and_by_kind_and_state(staff: Staff, replica: Replica) -> None:
    ids = [staff.submit().id for _ in range(5)]
    running = claimed(replica).id
    first = staff.page(page_size=3, states=[jobs_pb2.JOB_STATE_QUEUED])
    rest = staff.page(page_size=3, states=[jobs_pb2.JOB_STATE_QUEUED], page_token=first.next_page_token)
    assert [job.id for job in (*first.jobs, *rest.jobs)] == [id for id in reversed(ids) if id != running]
    assert not rest.next_page_token
    assert [job.id for job in staff.page(states=[jobs_pb2.JOB_STATE_RUNNING]).jobs] == [running]
    training = staff.submit_training("recommender").id
    assert [job.id for job in staff.page(kind=jobs_pb2.JOB_KIND_TRAINING, states=[jobs_pb2.JOB_STATE_QUEUED]).jobs] == [training]
    with refused(CODE.INVALID_ARGUMENT, "INVALID_PAGE_TOKEN"):
        staff.page(page_token=first.next_page_token)


def test_one_etl_runs_at_a_time_the_oldest_first(staff: Staff, replica: Replica) -> None:
    first, second = staff.submit(), staff.submit()
    job = claimed(replica)
    assert job.id == first.id
    assert replica.claim("another") is None
    replica.succeed(job)
    assert claimed(replica, "another").id == second.id


def test_many_workers_at_once_get_one_job_each_and_no_job_twice(staff: Staff, replica: Replica) -> None:
    staff.submit(), staff.submit()
    with ThreadPoolExecutor(8) as workers:
        jobs = list(workers.map(lambda number: replica.claim(f"worker {number}"), range(8)))
    assert len([job for job in jobs if job]) == 1


def test_what_a_lost_worker_held_is_taken_over_in_the_same_try(staff: Staff, replica: Replica) -> None:
    staff.submit()
    held = claimed(replica, "first", lease_seconds=0.2)
    assert replica.claim("second") is None
    time.sleep(0.3)
    taken = claimed(replica, "second")
    assert (taken.id, taken.attempt_count) == (held.id, 1)
    assert replica.save(held._replace(stage="mine"), "first") is None
    assert staff.get(held.id).stage == ""


def test_a_worker_that_was_away_goes_on_if_nobody_took_over(staff: Staff, replica: Replica) -> None:
    staff.submit()
    held = claimed(replica, lease_seconds=0.1)
    time.sleep(0.2)
    kept = replica.save(held._replace(stage="cleaning"))
    assert kept is not None and kept.stage == "cleaning"


def test_a_job_that_is_tried_again_says_why_and_counts_its_tries(staff: Staff, replica: Replica) -> None:
    job = staff.submit()
    replica.try_again_at_once(claimed(replica))
    waiting = staff.get(job.id)
    assert (waiting.state, waiting.failure.reason) == (jobs_pb2.JOB_STATE_QUEUED, "ENGINE_UNAVAILABLE")
    assert waiting.HasField("next_attempt_time")
    replica.succeed(claimed(replica))
    ended = staff.get(job.id)
    assert (ended.state, ended.attempt_count, ended.etl.row_count) == (jobs_pb2.JOB_STATE_SUCCEEDED, 2, 3)
    assert not ended.HasField("failure") and not ended.HasField("next_attempt_time")


def test_a_job_that_waits_is_cancelled_at_once(staff: Staff, replica: Replica) -> None:
    job = staff.submit()
    assert staff.cancel(job.id).state == jobs_pb2.JOB_STATE_CANCELLED
    assert replica.claim() is None
    with refused(CODE.FAILED_PRECONDITION, "JOB_ENDED"):
        staff.cancel(job.id)


def test_a_job_that_runs_is_cancelled_by_its_worker_whatever_that_was_about_to_save(staff: Staff, replica: Replica) -> None:
    submitted = staff.submit()
    running = claimed(replica)
    assert staff.cancel(submitted.id).state == jobs_pb2.JOB_STATE_CANCELLING
    assert staff.cancel(submitted.id).state == jobs_pb2.JOB_STATE_CANCELLING
    told = replica.save(running._replace(stage="cleaning"))
    assert told is not None and (told.state, told.stage) == ("cancelling", "")
