"""A training job from raw files to a promoted model, on the whole stack."""

import csv
import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.shop import Json, Shop
from tests.e2e.stack import ENGINES, ROOT, SERVICES, Stack, own_stack, running

JOB_SECONDS = 900
PROCESSES = (*SERVICES, *ENGINES, "jobs-worker")
# The prefix of some eighty products of the demo's sales: little data, but two years of it.
PREFIX = "207"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """All processes that training needs."""
    with running(own_stack(tmp_path_factory.mktemp("stack"), PROCESSES)) as stack:
        yield stack


def write_sample(folder: Path) -> Path:
    """A file with the sales of a few products."""
    file = folder / "sales.csv"
    with gzip.open(ROOT / "datasets" / "online_retail_ii.csv.gz", "rt", newline="") as whole, file.open("w", newline="") as few:
        lines, written = csv.reader(whole), csv.writer(few)
        written.writerow(columns := next(lines))
        code = columns.index("StockCode")
        written.writerows(line for line in lines if line[code].startswith(PREFIX))
    return file


def test_one_call_cleans_raw_files_and_trains_and_promotes_a_model(stack: Stack, shop: Shop, tmp_path: Path) -> None:
    landed = stack.run("land", str(write_sample(tmp_path)))
    assert landed.returncode == 0, landed.stderr
    staff = {"authorization": f"Bearer {shop.tokens['staff']}"}
    submitted = shop.http.post("/jobs/training/forecaster", json={"recipe": "quick"}, headers=staff | {"idempotency-key": "train"})
    assert submitted.status_code == httpx.codes.CREATED, submitted.text
    id = submitted.json()["id"]
    with shop.http.stream("GET", f"/jobs/{id}:watch", headers=staff, timeout=JOB_SECONDS) as stream:
        events = [json.loads(line) for line in stream.iter_lines()]
    states: list[Json] = [event["job"] for event in events if event.get("job")]
    lines: list[Json] = [event["log_line"] for event in events if event.get("log_line")]

    job = states[-1]
    assert job["state"] == "JOB_STATE_SUCCEEDED_WITH_REJECTS", job
    assert {"submitting", "writing sales", "training", "evaluating", "registering"} < {state["stage"] for state in states}
    assert {"worker", "driver", "executor 1", "training"} <= {line["source"] for line in lines}
    trained = job["training_result"]
    assert trained["promoted"] and trained["metrics"]["test.mase"] < trained["metrics"]["test.seasonal_naive.mase"]

    mlflow = stack.mlflow_client()
    champion = mlflow.get_model_version_by_alias("hashiramart-forecaster", "champion")
    assert (str(champion.version), champion.run_id) == (trained["model_version"], trained["run_id"])
    tags = champion.tags
    assert (tags["job_id"], tags["etl_job_id"], tags["data_hash"]) == (id, id, job["etl_result"]["data_hash"])
    assert json.loads(tags["raw_files"])[0].startswith("sales.csv ")
    assert tags["code_commit"]
