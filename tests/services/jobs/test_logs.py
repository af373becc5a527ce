"""Watching a job and reading its log."""

import threading
from collections.abc import Iterable, Iterator
from datetime import timedelta

import grpc
import pytest

from hashiramart.jobs.v1 import jobs_pb2
from services.jobs.domain import Job
from tests.services.errors import error_of, fails_with
from tests.services.jobs.replica import MAX_LINES, JobsReplica
from tests.services.jobs.staff import Staff

CODE = grpc.StatusCode


@pytest.fixture
def job(staff: Staff, replica: JobsReplica) -> Iterator[Job]:
    """A job that `replica` holds."""
    submitted = staff.submit()
    job = replica.claim()
    assert job is not None and job.id == submitted.id
    yield job
    replica.end_all()


def summary(events: Iterable[jobs_pb2.JobEvent]) -> list[str | int]:
    """The number of each log line; the stage, or else the state, of each job."""
    return [event.log_line.number or event.job.stage or jobs_pb2.JobState.Name(event.job.state) for event in events]


def test_a_watcher_sees_the_job_its_changes_and_its_lines_to_the_end(staff: Staff, replica: JobsReplica, job: Job) -> None:
    watch = staff.watch(job.id)
    assert summary([next(watch)]) == ["JOB_STATE_RUNNING"]
    replica.log(job.id, "one", "two")
    assert [next(watch).log_line.text for _ in range(2)] == ["one", "two"]
    cleaning = replica.save(job._replace(stage="cleaning", done_count=3, total_count=9))
    event = next(watch)
    assert (event.job.stage, event.job.progress.done_count, event.job.progress.total_count) == ("cleaning", 3, 9)
    assert cleaning is not None
    replica.log(job.id, "three")
    replica.succeed(cleaning)
    rest = summary(watch)
    assert rest[0] == 3
    assert rest[-1] == "JOB_STATE_SUCCEEDED"


def test_a_watcher_goes_on_where_it_left_off(staff: Staff, replica: JobsReplica, job: Job) -> None:
    replica.log(job.id, *"abcde")
    replica.succeed(job)
    assert summary(staff.watch(job.id, after_number=3)) == ["JOB_STATE_SUCCEEDED", 4, 5]
    assert summary(staff.watch(job.id)) == ["JOB_STATE_SUCCEEDED", 1, 2, 3, 4, 5]


def test_many_watchers_see_the_same(staff: Staff, replica: JobsReplica, job: Job) -> None:
    seen: list[list[str | int]] = []
    begun = threading.Barrier(9)

    def watch() -> None:
        events = staff.watch(job.id)
        first = next(events)
        begun.wait(10)
        seen.append(summary([first, *events]))

    watchers = [threading.Thread(target=watch) for _ in range(8)]
    for watcher in watchers:
        watcher.start()
    begun.wait(10)
    replica.log(job.id, *"abc")
    replica.log(job.id, *"de")
    replica.succeed(job)
    for watcher in watchers:
        watcher.join()
    assert [[entry for entry in events if isinstance(entry, int)] for events in seen] == [[1, 2, 3, 4, 5]] * 8
    assert {events[-1] for events in seen} == {"JOB_STATE_SUCCEEDED"}


def test_a_log_is_paged_to_its_end_and_continued_from_a_number(staff: Staff, replica: JobsReplica, job: Job) -> None:
    replica.log(job.id, *"abcdef")
    first = staff.lines(job.id, page_size=4)
    second = staff.lines(job.id, page_size=4, page_token=first.next_page_token)
    assert [line.text for line in (*first.log_lines, *second.log_lines)] == [*"abcdef"]
    # The job still runs; a client that follows the tokens stops here.
    assert not second.next_page_token
    nothing = staff.lines(job.id, after_number=6)
    assert not nothing.log_lines and not nothing.next_page_token
    replica.log(job.id, *"ghi")
    later = staff.lines(job.id, page_size=2, after_number=6)
    last = staff.lines(job.id, page_size=2, after_number=6, page_token=later.next_page_token)
    assert [(line.number, line.text) for line in (*later.log_lines, *last.log_lines)] == [(7, "g"), (8, "h"), (9, "i")]
    assert not last.next_page_token
    with fails_with(CODE.INVALID_ARGUMENT, "INVALID_PAGE_TOKEN"):
        staff.lines(job.id, after_number=7, page_token=later.next_page_token)


def test_of_a_long_log_the_last_lines_are_kept(staff: Staff, replica: JobsReplica, job: Job) -> None:
    replica.log(job.id, *(str(number) for number in range(1, 6)))
    early = staff.lines(job.id, page_size=2)
    replica.log(job.id, *(str(number) for number in range(6, MAX_LINES + 11)))
    kept = staff.lines(job.id)
    assert [line.text for line in kept.log_lines] == [str(number) for number in range(11, MAX_LINES + 11)]
    error = error_of(lambda: staff.lines(job.id, page_token=early.next_page_token))
    assert (error.code, error.reason) == (CODE.OUT_OF_RANGE, "LOG_EXPIRED")
    assert error.metadata == {"after_number": "2", "first_number": "11"}
    with fails_with(CODE.OUT_OF_RANGE, "LOG_EXPIRED"):
        list(staff.watch(job.id, after_number=5))


def test_the_log_of_a_job_that_ended_long_ago_is_deleted(staff: Staff, replica: JobsReplica, job: Job) -> None:
    replica.log(job.id, "a")
    replica.expire_logs()
    assert staff.lines(job.id).log_lines, "it has not ended"
    replica.succeed(job)
    replica.expire_logs(timedelta(days=1))
    assert staff.lines(job.id).log_lines, "it ended a moment ago"
    replica.expire_logs()
    assert not staff.lines(job.id).log_lines
    assert staff.get(job.id).id == job.id


def test_a_worker_that_lost_a_job_adds_nothing_to_its_log(staff: Staff, replica: JobsReplica, job: Job) -> None:
    replica.log(job.id, "late", holder="another")
    assert not staff.lines(job.id).log_lines


def test_a_watcher_sees_what_comes_after_an_outage_of_the_database(
    staff: Staff, replica: JobsReplica, job: Job, request: pytest.FixtureRequest
) -> None:
    watch = staff.watch(job.id)
    next(watch)
    with request.getfixturevalue("postgres").stopped(), fails_with(CODE.UNAVAILABLE, "DATABASE_UNAVAILABLE"):
        staff.get(job.id)
    replica.log(job.id, "after")
    assert next(watch).log_line.text == "after"
