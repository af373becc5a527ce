"""Jobs: submitted, claimed, listed, cancelled."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from hashiramart.jobs.v1 import jobs_pb2
from hashiramart.model.v1 import model_pb2
from services.jobs.domain import Job
from tests.services.errors import error_of, fails_with
from tests.services.jobs.replica import TIME_ZONE, JobsReplica
from tests.services.jobs.staff import Staff

CODE = grpc.StatusCode
RECOMMENDER, FORECASTER = model_pb2.MODEL_KIND_RECOMMENDER, model_pb2.MODEL_KIND_FORECASTER


@pytest.fixture(autouse=True)
def _no_due_jobs(replica: JobsReplica) -> None:
    replica.end_all()


def claim(replica: JobsReplica, holder: str = "worker") -> Job:
    job = replica.claim(holder)
    assert job is not None
    return job


def test_a_submitted_job_is_answered_at_once_and_waits(staff: Staff) -> None:
    job = staff.submit("2011-12-09", full=True)
    assert staff.get(job.id) == job
    assert (job.WhichOneof("spec"), job.etl_spec.through_date, job.etl_spec.full) == ("etl_spec", "2011-12-09", True)
    assert (job.time_zone, job.state, job.submitted_by) == (TIME_ZONE, jobs_pb2.JOB_STATE_QUEUED, "ann")
    assert not job.HasField("start_time") and not job.HasField("failure") and not job.HasField("etl_result")


def test_twenty_at_once_under_one_request_id_make_one_job(staff: Staff) -> None:
    before = len(staff.page(page_size=100).jobs)
    with ThreadPoolExecutor(20) as callers:
        jobs = list(callers.map(lambda _: staff.submit(request_id="once"), range(20)))
    assert {job.id for job in jobs} == {jobs[0].id}
    assert len(staff.page(page_size=100).jobs) == before + 1


def test_a_request_id_stands_for_one_request_of_one_caller(staff: Staff, replica: JobsReplica) -> None:
    first = staff.submit("2011-12-08", request_id="again")
    claim(replica)
    assert staff.submit("2011-12-08", request_id="again").id == first.id
    with fails_with(CODE.INVALID_ARGUMENT, "REQUEST_ID_REUSED") as violations:
        staff.submit("2011-12-09", request_id="again")
    assert [*violations] == ["request_id"]


def test_a_date_that_does_not_exist_is_refused(staff: Staff) -> None:
    with fails_with(CODE.INVALID_ARGUMENT, "INVALID_REQUEST") as violations:
        staff.submit("2011-02-29")
    assert [*violations] == ["through_date"]


def test_a_training_has_a_model_and_by_default_the_full_recipe(staff: Staff, replica: JobsReplica) -> None:
    job = staff.submit_training(RECOMMENDER, through_date="2011-12-09", request_id="train")
    assert staff.get(job.id) == job
    spec = jobs_pb2.TrainingSpec(model=RECOMMENDER, recipe=model_pb2.RECIPE_FULL, through_date="2011-12-09")
    assert (job.training_spec, job.HasField("etl_spec"), job.state) == (spec, False, jobs_pb2.JOB_STATE_QUEUED)
    assert staff.submit_training(RECOMMENDER, through_date="2011-12-09", request_id="train").id == job.id
    with fails_with(CODE.INVALID_ARGUMENT, "REQUEST_ID_REUSED"):
        staff.submit_training(FORECASTER, request_id="train")
    quick = staff.submit_training(FORECASTER, model_pb2.RECIPE_QUICK).training_spec
    assert (quick.model, quick.recipe) == (FORECASTER, model_pb2.RECIPE_QUICK)
    full = claim(replica)
    replica.succeed(full)
    assert (full.recipe, claim(replica, "another").recipe) == ("full", "quick")


@pytest.mark.parametrize(
    ("field", "request_of"),
    [
        ("model", lambda staff: staff.submit_training(model_pb2.MODEL_KIND_UNSPECIFIED)),
        ("model", lambda staff: staff.submit_training(3)),
        ("recipe", lambda staff: staff.submit_training(RECOMMENDER, 3)),
        ("through_date", lambda staff: staff.submit_training(RECOMMENDER, through_date="2011-02-29")),
    ],
)
def test_a_training_with_an_invalid_argument_is_refused(staff: Staff, field: str, request_of: Callable[[Staff], object]) -> None:
    with fails_with(CODE.INVALID_ARGUMENT, "INVALID_REQUEST") as violations:
        request_of(staff)
    assert [*violations] == [field]


def test_a_training_does_not_keep_an_etl_from_running(staff: Staff, replica: JobsReplica) -> None:
    ids = [staff.submit_training(RECOMMENDER).id, staff.submit().id, staff.submit_training(FORECASTER).id]
    job = claim(replica)
    training = replica.save(job.complete_etl({"row_count": 3}, job.create_time)._replace(application_id="application_1"))
    assert training is not None and training.id == ids[0]
    assert claim(replica, "another").id == ids[1]
    assert replica.claim("third") is None
    # Nor does an ETL keep a postponed training from going on.
    replica.retry_at_once(training)
    again = claim(replica, "third")
    assert (again.id, again.attempt_count, again.application_id) == (ids[0], 2, "application_1")
    assert staff.get(ids[0]).etl_result.row_count == 3


def test_jobs_are_for_staff(customer: Staff) -> None:
    with fails_with(CODE.PERMISSION_DENIED, "ROLE_NOT_ALLOWED"):
        customer.submit()


def test_an_unknown_job_is_not_found(staff: Staff) -> None:
    for call in (staff.get, staff.cancel, staff.lines, lambda id: next(staff.watch(id))):
        with fails_with(CODE.NOT_FOUND, "JOB_NOT_FOUND"):
            call("nothing")


def test_jobs_are_paged_newest_first_and_by_kind_and_state(staff: Staff, replica: JobsReplica) -> None:
    ids = [staff.submit().id for _ in range(5)]
    running = claim(replica).id
    first = staff.page(page_size=3, states=[jobs_pb2.JOB_STATE_QUEUED])
    rest = staff.page(page_size=3, states=[jobs_pb2.JOB_STATE_QUEUED], page_token=first.next_page_token)
    assert [job.id for job in (*first.jobs, *rest.jobs)] == [id for id in reversed(ids) if id != running]
    assert not rest.next_page_token
    assert [job.id for job in staff.page(states=[jobs_pb2.JOB_STATE_RUNNING]).jobs] == [running]
    training = staff.submit_training(RECOMMENDER).id
    assert [job.id for job in staff.page(kind=jobs_pb2.JOB_KIND_TRAINING, states=[jobs_pb2.JOB_STATE_QUEUED]).jobs] == [training]
    with fails_with(CODE.INVALID_ARGUMENT, "INVALID_PAGE_TOKEN"):
        staff.page(page_token=first.next_page_token)


def test_one_etl_runs_at_a_time_the_oldest_first(staff: Staff, replica: JobsReplica) -> None:
    first, second = staff.submit(), staff.submit()
    job = claim(replica)
    assert job.id == first.id
    assert replica.claim("another") is None
    replica.succeed(job)
    assert claim(replica, "another").id == second.id


def test_many_workers_at_once_get_one_job_each_and_no_job_twice(staff: Staff, replica: JobsReplica) -> None:
    staff.submit(), staff.submit()
    with ThreadPoolExecutor(8) as workers:
        jobs = list(workers.map(lambda number: replica.claim(f"worker {number}"), range(8)))
    assert len([job for job in jobs if job]) == 1


def test_a_lost_workers_job_is_taken_over_in_the_same_attempt(staff: Staff, replica: JobsReplica) -> None:
    staff.submit()
    held = claim(replica, "first")
    assert replica.claim("second") is None
    replica.expire(held, "first")
    taken = claim(replica, "second")
    assert (taken.id, taken.attempt_count) == (held.id, 1)
    assert replica.save(held._replace(stage="mine"), "first") is None
    assert staff.get(held.id).stage == ""


def test_a_worker_that_was_away_goes_on_if_nobody_took_over(staff: Staff, replica: JobsReplica) -> None:
    staff.submit()
    held = claim(replica)
    replica.expire(held)
    saved = replica.save(held._replace(stage="cleaning"))
    assert saved is not None and saved.stage == "cleaning"


def test_a_job_that_is_retried_says_why_and_counts_its_attempts(staff: Staff, replica: JobsReplica) -> None:
    job = staff.submit()
    replica.retry_at_once(claim(replica))
    waiting = staff.get(job.id)
    assert (waiting.state, waiting.failure.reason) == (jobs_pb2.JOB_STATE_QUEUED, "ENGINE_UNAVAILABLE")
    assert waiting.HasField("next_attempt_time")
    replica.succeed(claim(replica))
    ended = staff.get(job.id)
    assert (ended.state, ended.attempt_count, ended.etl_result.row_count) == (jobs_pb2.JOB_STATE_SUCCEEDED, 2, 3)
    assert not ended.HasField("failure") and not ended.HasField("next_attempt_time")


def test_a_queued_job_is_cancelled_at_once(staff: Staff, replica: JobsReplica) -> None:
    job = staff.submit()
    assert staff.cancel(job.id).state == jobs_pb2.JOB_STATE_CANCELLED
    assert replica.claim() is None


def test_a_repeated_cancellation_changes_nothing(staff: Staff) -> None:
    cancelled = staff.cancel(staff.submit().id)
    assert staff.cancel(cancelled.id) == cancelled


def test_a_job_that_has_succeeded_cannot_be_cancelled(staff: Staff, replica: JobsReplica) -> None:
    id = staff.submit().id
    replica.succeed(claim(replica))
    error = error_of(lambda: staff.cancel(id))
    assert (error.code, error.reason) == (CODE.FAILED_PRECONDITION, "JOB_ENDED")
    assert error.metadata == {"id": id, "state": "succeeded"}


def test_a_running_job_is_cancelled_by_its_worker_whatever_that_was_about_to_save(staff: Staff, replica: JobsReplica) -> None:
    submitted = staff.submit()
    running = claim(replica)
    assert staff.cancel(submitted.id).state == jobs_pb2.JOB_STATE_CANCELLING
    assert staff.cancel(submitted.id).state == jobs_pb2.JOB_STATE_CANCELLING
    saved = replica.save(running._replace(stage="cleaning"))
    assert saved is not None and (saved.state, saved.stage) == ("cancelling", "")
