"""An ETL job from a raw file to clean data, over REST, on SeaweedFS. The jobs of the other modules are on MinIO."""

import gzip
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.e2e.shop import Json, Shop
from tests.e2e.stack import ETL, Stack, own_stack, running
from tests.spark.shop import HEADER, line

JOB_SECONDS = 400
# One line of eleven has no price.
LINES = [HEADER, *(line(time=f"2011-02-{day:02} 10:00:00") for day in range(1, 11)), line(price=0)]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """All processes that an ETL job needs."""
    own = own_stack(tmp_path_factory.mktemp("stack"))
    with running(Stack({**own.environment, "OBJECT_STORE": "seaweedfs"}, (*ETL, "seaweedfs"))) as stack:
        yield stack


def land(stack: Stack, file: Path) -> str:
    answer = stack.run("land", str(file))
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def staff(shop: Shop) -> dict[str, str]:
    return {"authorization": f"Bearer {shop.tokens['staff']}"}


def submit(shop: Shop, request: Json, key: str) -> Json:
    answer = shop.http.post("/jobs/etl", json=request, headers=staff(shop) | {"idempotency-key": key})
    assert answer.status_code == httpx.codes.CREATED, answer.text
    job: Json = answer.json()
    assert answer.headers["location"] == f"/jobs/{job['id']}"
    return job


def watch(shop: Shop, id: str, accept: str) -> Iterator[str]:
    """Yields the lines of the job's stream until the job has ended."""
    with shop.http.stream("GET", f"/jobs/{id}:watch", headers=staff(shop) | {"accept": accept}, timeout=JOB_SECONDS) as answer:
        assert answer.status_code == httpx.codes.OK
        assert answer.headers["content-type"].startswith(accept)
        yield from answer.iter_lines()


def wait_for_end(shop: Shop, id: str) -> Json:
    """The job, once it has ended."""
    deadline = time.monotonic() + JOB_SECONDS
    while (job := shop.http.get(f"/jobs/{id}", headers=staff(shop)).json())["end_time"] is None:
        assert time.monotonic() < deadline, job
        time.sleep(0.5)
    found: Json = job
    return found


@pytest.fixture(scope="module")
def first_job(stack: Stack, shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> list[Json]:
    """The events of the job that cleans the first file."""
    file = tmp_path_factory.mktemp("raw") / "sales.csv.gz"
    file.write_bytes(gzip.compress("\n".join(LINES).encode()))
    assert "is in " in land(stack, file)
    assert "was landed before" in land(stack, file)
    job = submit(shop, {}, "first")
    assert job["state"] == "JOB_STATE_QUEUED"
    return [json.loads(line) for line in watch(shop, job["id"], "application/x-ndjson")]


def test_a_job_cleans_a_raw_file_and_streams_its_progress(shop: Shop, first_job: list[Json]) -> None:
    states = [event["job"] for event in first_job if event.get("job")]
    lines = [event["log_line"] for event in first_job if event.get("log_line")]
    assert len({state["stage"] for state in states}) > 4
    assert any(state["progress"] and state["progress"]["total_count"] for state in states)
    assert {"driver", "executor 1"} < {line["source"] for line in lines}
    assert states[-1]["state"] == "JOB_STATE_SUCCEEDED_WITH_REJECTS"
    etl = states[-1]["etl_result"]
    assert (etl["row_count"], etl["sale_count"], etl["published"]) == ("11", "10", True)
    assert etl["rejects"] == [{"reason": "price", "line_count": "1"}]

    # A repeated request returns the same job. Watching an ended job yields its last state, also as server-sent events.
    job = submit(shop, {}, "first")
    assert job["id"] == states[-1]["id"]
    events = [json.loads(line.removeprefix("data: ")) for line in watch(shop, job["id"], "text/event-stream") if line.startswith("data: ")]
    assert [event["job"] for event in events if event.get("job")][-1] == states[-1]

    # The second job finds nothing new.
    again = wait_for_end(shop, submit(shop, {}, "second")["id"])
    assert (again["state"], again["etl_result"]["published"]) == ("JOB_STATE_SUCCEEDED_WITH_REJECTS", False)
    assert again["etl_result"]["data_hash"] == etl["data_hash"]


def test_logs_can_be_read_while_yarn_is_unavailable(stack: Stack, shop: Shop, first_job: list[Json]) -> None:
    job = last(first_job)
    resourcemanager = stack.pids()["resourcemanager"]
    os.kill(resourcemanager, signal.SIGSTOP)
    try:
        log = shop.http.get(f"/jobs/{job['id']}/logs", params={"page_size": 5000}, headers=staff(shop)).json()["log_lines"]
    finally:
        os.kill(resourcemanager, signal.SIGCONT)
    assert any("succeeded" in line["text"] for line in log if line["source"] == "driver")


def test_a_killed_attempt_leaves_the_published_data_and_is_followed_by_another(
    stack: Stack, shop: Shop, first_job: list[Json], tmp_path: Path
) -> None:
    file = tmp_path / "more.csv"
    file.write_text("\n".join([HEADER, *(line(time=f"2011-03-{day:02} 10:00:00") for day in range(1, 11))]))
    land(stack, file)
    job = submit(shop, {}, "killed")
    for event in watch(shop, job["id"], "application/x-ndjson"):
        current = json.loads(event).get("job")
        # The first tasks are running.
        if current and current["progress"] and current["progress"]["total_count"]:
            break
    kill_drivers(current["application_id"])
    ended = wait_for_end(shop, job["id"])
    assert ended["state"] == "JOB_STATE_SUCCEEDED_WITH_REJECTS", ended
    assert ended["attempt_count"] == 2
    assert ended["application_id"] != current["application_id"]
    assert ended["etl_result"]["sale_count"] == "20"
    assert ended["etl_result"]["data_hash"] != last(first_job)["etl_result"]["data_hash"]


def last(events: list[Json]) -> Json:
    """The job in the last of these events that has one."""
    found: Json = [event["job"] for event in events if event.get("job")][-1]
    return found


def kill_drivers(application: str) -> None:
    """Kills the processes of an application's driver, as a crash of its machine would."""
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or ()
        if any(application in word for word in words) and any("ApplicationMaster" in word for word in words):
            process.kill()
