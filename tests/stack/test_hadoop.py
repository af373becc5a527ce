"""HDFS and YARN: files and applications survive crashes of the daemons."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from stack.engines import hadoop, spark
from tests.engines.hadoop import Hdfs, Yarn, wait
from tests.engines.stores import Minio

OUTPUT = "numbers"


@pytest.fixture(scope="module")
def go(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file for which the application waits."""
    return tmp_path_factory.mktemp("application") / "go"


@pytest.fixture(scope="module")
def application(yarn: Yarn, go: Path) -> Iterator[str]:
    """A running application in cluster mode with an executor; it continues when `go` exists."""
    identity = yarn.submit(str(Path(__file__).with_name("application.py")), str(go), f"s3a://lake/{OUTPUT}")
    wait(lambda: yarn.application(identity).get("runningContainers", 0) == 2, f"{identity} to run")
    # Its executor has run tasks: one that YARN is still starting could be lost with its node.
    wait(go.with_name(f"{go.name}.awaited").exists, f"{identity} to wait")
    yield identity
    go.touch()
    yarn.outcome(identity)


def secrets(minio: Minio) -> list[str]:
    return [secret_key for _, secret_key in minio.store.keys.values()]


def test_files_survive_a_crash_of_either_daemon(hdfs: Hdfs) -> None:
    content = bytes(range(256)) * 10_000
    hdfs.put("/kept/file", content)
    for daemon in (hdfs.namenode, hdfs.datanode):
        daemon.kill()
        daemon.start()
        wait(lambda: hadoop.datanode_ready(hdfs.settings), "HDFS")
        assert hdfs.get("/kept/file") == content
    hdfs.put("/kept/another", b"new")
    assert hdfs.files("/kept") == ["/kept/another", "/kept/file"]


def test_a_web_page_of_another_site_cannot_write(hdfs: Hdfs, yarn: Yarn) -> None:
    browser = {"User-Agent": "Mozilla/5.0"}
    files = f"http://127.0.0.1:{hdfs.settings.namenode_port}/webhdfs/v1/from-a-page?op=MKDIRS"
    applications = f"http://127.0.0.1:{yarn.settings.resourcemanager_port}/ws/v1/cluster/apps/new-application"
    assert httpx.put(files, headers=browser).status_code == httpx.codes.BAD_REQUEST
    assert httpx.post(applications, headers=browser).status_code == httpx.codes.BAD_REQUEST


def test_no_command_line_contains_a_key_while_an_application_runs(application: str, minio: Minio) -> None:
    commands = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    assert [command for command in commands if application in command]
    assert not [command for command in commands for secret in secrets(minio) if secret in command]


def test_an_application_survives_crashes_of_resourcemanager_and_nodemanager(application: str, go: Path, yarn: Yarn, minio: Minio) -> None:
    for daemon in (yarn.nodemanager, yarn.resourcemanager):
        daemon.kill()
        daemon.start()
        wait(lambda: hadoop.nodemanager_ready(yarn.settings), "YARN")
    go.touch()
    assert yarn.outcome(application) == "SUCCEEDED"
    written = minio.client("spark").list_objects("lake", f"{OUTPUT}/", recursive=True)
    assert sum(str(entry.object_name).endswith(".parquet") for entry in written) == 2


def test_event_logs_and_container_logs_contain_no_key(application: str, go: Path, yarn: Yarn, hdfs: Hdfs, minio: Minio) -> None:
    go.touch()
    yarn.outcome(application)
    wait(lambda: yarn.application(application)["logAggregationStatus"] == "SUCCEEDED", "its log")
    paths = [path for path in [*hdfs.files(spark.EVENT_LOG), *logs(hdfs)] if application in path]
    contents = [*map(hdfs.get, paths), json.dumps(yarn.application(application)).encode()]
    assert len(contents) >= 3
    assert not [secret for secret in secrets(minio) for content in contents if secret.encode() in content]


def test_running_applications_are_killed_before_yarn_stops(yarn: Yarn, tmp_path: Path) -> None:
    identity = yarn.submit(str(Path(__file__).with_name("application.py")), str(tmp_path / "never"), "s3a://lake/never")
    hadoop.kill_applications(yarn.settings)
    assert yarn.outcome(identity) == "KILLED"


def logs(hdfs: Hdfs) -> list[str]:
    """The log files that YARN has aggregated."""
    return hdfs.files("/yarn-logs")
