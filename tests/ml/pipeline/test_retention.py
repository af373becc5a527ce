"""What trainings left longer ago than the retention is nowhere any more: not in the lake, nor in DVC, nor in MLflow."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from mlflow import MlflowClient

from lake.publishing import expire_snapshots
from ml.pipeline.retention import earlier_champions
from ml.registry.version import Promotion
from tests.engines.mlflow import Mlflow
from tests.engines.stores import Minio
from tests.ml.lake import Lake
from tests.ml.workspace import Workspace

# The customer who is forgotten between the two trainings: only the first publication has so many.
FORGOTTEN = "12349"
NAME = "hashiramart-recommender"


class Shop:
    """A shop whose pipeline has run with the customer, and again without."""

    def __init__(self, workspace: Workspace, lake: Lake, store: Minio, machine: Path) -> None:
        self.workspace, self.lake, self._store, self._machine = workspace, lake, store, machine

    def everything(self) -> Iterator[tuple[str, bytes]]:
        """All objects of the store and all files of DVC's cache."""
        for user, bucket in (("spark", "lake"), ("training", "dvc"), ("mlflow", "mlflow")):
            client = self._store.client(user)
            for found in client.list_objects(bucket, recursive=True):
                with client.get_object(bucket, str(found.object_name)) as response:
                    yield f"{bucket}/{found.object_name}", response.read()
        for file in (self._machine / "dvc" / "cache").rglob("*"):
            if file.is_file():
                yield str(file), file.read_bytes()

    def places(self) -> set[str]:
        """Where the customer is found: Parquet stores short texts as they are."""
        return {name.partition("/")[0] or "cache" for name, content in self.everything() if FORGOTTEN.encode() in content}

    def expire(self, before: datetime) -> str:
        expire_snapshots(self.lake.bucket, before)
        return self.workspace.run(sys.executable, "-m", "ml.pipeline.retention", f"--before={before.isoformat()}")


@pytest.fixture(scope="module")
def shop(minio: Minio, mlflow: Mlflow, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    machine, lake = tmp_path_factory.mktemp("machine"), Lake(minio)
    workspace = Workspace(tmp_path_factory.mktemp("checkout"), machine, minio.store, mlflow)
    workspace.create()
    lake.publish(customers=4, run="20261001T000000-1")
    workspace.dvc("repro", "register_recommender")
    workspace.dvc("push")
    return Shop(workspace, lake, minio, machine)


def test_a_forgotten_customer_is_nowhere_after_the_retention(shop: Shop, mlflow: Mlflow) -> None:
    assert {"lake", "dvc", "cache"} <= shop.places()
    time.sleep(1)
    between = datetime.now(UTC)
    time.sleep(1)
    shop.lake.publish(customers=3, run=f"{between + timedelta(seconds=1):%Y%m%dT%H%M%S}-2")
    shop.workspace.dvc("repro", "register_recommender")
    shop.workspace.dvc("push")
    assert {"lake", "dvc", "cache"} <= shop.places(), "the earlier data is kept at first"

    client = MlflowClient(mlflow.url)
    shop.expire(between)
    versions = {str(version.version) for version in client.search_model_versions(f"name='{NAME}'")}
    assert versions == {"1", "2"}, "a champion that was replaced since can be rolled back to"

    outcome = shop.expire(datetime.now(UTC))
    assert "runs of MLflow" in outcome
    assert shop.places() == set()
    assert [str(version.version) for version in client.search_model_versions(f"name='{NAME}'")] == ["2"]
    assert str(client.get_model_version_by_alias(NAME, "champion").version) == "2"

    # What serves and what the checkout names is there: nothing has to be computed, and all can be fetched again.
    assert shop.workspace.stages_run("register_recommender") == []
    shop.workspace.dvc("pull", "register_recommender", "--force")


def test_kept_are_the_champions_that_were_replaced_within_the_retention() -> None:
    def promotion(day: int, *earlier: str, rollback: bool = False) -> Promotion:
        time = datetime(2026, 11, day, tzinfo=UTC)
        replaced = earlier[0] if earlier else ""
        return Promotion(time=time, reason="", promoted_by="", replaced_version=replaced, rollback=rollback, earlier_versions=earlier)

    promotions = {"1": promotion(1), "2": promotion(10, "1"), "4": promotion(20, "2", "1")}
    replaced = {day: earlier_champions("4", promotions, datetime(2026, 11, day, tzinfo=UTC)) for day in (5, 15, 25)}
    assert replaced == {5: ["2", "1"], 15: ["2"], 25: []}
    assert earlier_champions("1", promotions, datetime(2026, 11, 1, tzinfo=UTC)) == []
    assert earlier_champions("", promotions, datetime(2026, 11, 1, tzinfo=UTC)) == []


def test_nothing_young_and_no_champion_is_deleted(shop: Shop, mlflow: Mlflow) -> None:
    before = {name for name, _ in shop.everything()}
    shop.expire(datetime.now(UTC) - timedelta(days=1))
    assert {name for name, _ in shop.everything()} == before
    shop.expire(datetime.now(UTC) + timedelta(days=1))
    assert MlflowClient(mlflow.url).get_model_version_by_alias(NAME, "champion")
    assert shop.workspace.stages_run("register_recommender") == []


def test_an_unreachable_mlflow_is_reported(shop: Shop) -> None:
    environment = (
        os.environ | shop.workspace.environment | {"PIPELINE_MLFLOW_URL": "http://127.0.0.1:1", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    )
    command = [sys.executable, "-m", "ml.pipeline.retention", f"--before={datetime.now(UTC).isoformat()}"]
    run = subprocess.run(command, cwd=shop.workspace.folder, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "Not everything that has expired was deleted" in run.stderr
    assert json.loads((shop.workspace.folder / "registered" / "recommender.json").read_text())["promoted"]
