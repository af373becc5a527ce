"""From a raw file to clean data in the store, by the calls that a shop makes, on either store."""

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


@pytest.fixture(scope="module", params=["minio", "seaweedfs"])
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """All that cleaning takes, on this store."""
    own = own_stack(tmp_path_factory.mktemp("stack"))
    with running(Stack({**own.environment, "OBJECT_STORE": request.param}, (*ETL, request.param))) as stack:
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
    """The lines of the stream, to the job's end."""
    with shop.http.stream("GET", f"/jobs/{id}:watch", headers=staff(shop) | {"accept": accept}, timeout=JOB_SECONDS) as answer:
        assert answer.status_code == httpx.codes.OK
        assert answer.headers["content-type"].startswith(accept)
        yield from answer.iter_lines()


def end(shop: Shop, id: str) -> Json:
    """The job, as it has ended."""
    deadline = time.monotonic() + JOB_SECONDS
    while (job := shop.http.get(f"/jobs/{id}", headers=staff(shop)).json())["end_time"] is None:
        assert time.monotonic() < deadline, job
        time.sleep(0.5)
    found: Json = job
    return found


@pytest.fixture(scope="module")
def cleaned(stack: Stack, shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> list[Json]:
    """What is told while the first file is landed and cleaned."""
    file = tmp_path_factory.mktemp("raw") / "sales.csv.gz"
    file.write_bytes(gzip.compress("\n".join(LINES).encode()))
    assert "is in " in land(stack, file)
    assert "was landed before" in land(stack, file)
    job = submit(shop, {}, "first")
    assert job["state"] == "JOB_STATE_QUEUED"
    return [json.loads(line) for line in watch(shop, job["id"], "application/x-ndjson")]


def test_a_raw_file_becomes_clean_data_by_one_call_that_is_watched_live(shop: Shop, cleaned: list[Json]) -> None:
    states = [event["job"] for event in cleaned if event.get("job")]
    lines = [event["log_line"] for event in cleaned if event.get("log_line")]
    assert len({state["stage"] for state in states}) > 4
    assert any(state["progress"] and state["progress"]["total_count"] for state in states)
    assert {"driver", "executor 1"} < {line["source"] for line in lines}
    assert states[-1]["state"] == "JOB_STATE_SUCCEEDED_WITH_REJECTS"
    etl = states[-1]["etl"]
    assert (etl["row_count"], etl["sale_count"], etl["published"]) == (11, 10, True)
    assert etl["rejects"] == [{"reason": "price", "line_count": 1}]

    # The same request is the same job; watching one that has ended tells how, also as a page that listens for events hears it.
    job = submit(shop, {}, "first")
    assert job["id"] == states[-1]["id"]
    told = [json.loads(line.removeprefix("data: ")) for line in watch(shop, job["id"], "text/event-stream") if line.startswith("data: ")]
    assert [event["job"] for event in told if event.get("job")][-1] == states[-1]

    # Nothing is new the second time.
    again = end(shop, submit(shop, {}, "second")["id"])
    assert (again["state"], again["etl"]["published"]) == ("JOB_STATE_SUCCEEDED_WITH_REJECTS", False)
    assert again["etl"]["data_hash"] == etl["data_hash"]


def test_a_log_is_read_when_yarn_is_gone(stack: Stack, shop: Shop, cleaned: list[Json]) -> None:
    job = last(cleaned)
    resourcemanager = stack.pids()["resourcemanager"]
    os.kill(resourcemanager, signal.SIGSTOP)
    try:
        log = shop.http.get(f"/jobs/{job['id']}/logs", params={"page_size": 5000}, headers=staff(shop)).json()["log_lines"]
    finally:
        os.kill(resourcemanager, signal.SIGCONT)
    assert any("succeeded" in line["text"] for line in log if line["source"] == "driver")


def test_a_run_that_is_killed_leaves_what_was_published_and_is_tried_again(
    stack: Stack, shop: Shop, cleaned: list[Json], tmp_path: Path
) -> None:
    file = tmp_path / "more.csv"
    file.write_text("\n".join([HEADER, *(line(time=f"2011-03-{day:02} 10:00:00") for day in range(1, 11))]))
    land(stack, file)
    job = submit(shop, {}, "killed")
    for event in watch(shop, job["id"], "application/x-ndjson"):
        current = json.loads(event).get("job")
        # Its first tasks run.
        if current and current["progress"] and current["progress"]["total_count"]:
            break
    kill_drivers(current["application_id"])
    ended = end(shop, job["id"])
    assert ended["state"] == "JOB_STATE_SUCCEEDED_WITH_REJECTS", ended
    assert ended["attempt_count"] == 2
    assert ended["application_id"] != current["application_id"]
    assert ended["etl"]["sale_count"] == 20
    assert ended["etl"]["data_hash"] != last(cleaned)["etl"]["data_hash"]


def last(events: list[Json]) -> Json:
    """The job, as the last of these events tells it."""
    found: Json = [event["job"] for event in events if event.get("job")][-1]
    return found


def kill_drivers(application: str) -> None:
    """Kills the processes of an application's driver, as if its machine had died."""
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or ()
        if any(application in word for word in words) and any("ApplicationMaster" in word for word in words):
            process.kill()
