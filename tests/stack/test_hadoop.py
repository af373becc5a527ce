"""HDFS and YARN: files and applications survive crashes of the daemons."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from pwd import getpwnam

import httpx
import psutil
import pytest

from stack.engines import hadoop, hadoop_user, spark
from tests.engines.hadoop import Hdfs, Yarn, wait
from tests.engines.stores import Minio

OUTPUT = "numbers"


@pytest.fixture(scope="module")
def go(yarn: Yarn) -> Path:
    """The file for which the application waits, in a folder that applications see."""
    return yarn.settings.data / "tmp" / "go"


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


@pytest.mark.parametrize("claimed", ["root", "hashiramart"])
def test_an_application_of_any_local_caller_runs_as_the_unprivileged_user_and_reads_no_secret(
    yarn: Yarn, hdfs: Hdfs, minio: Minio, claimed: str
) -> None:
    secret = yarn.settings.stack_folder / "secrets.env"
    secret.touch(mode=0o600)
    secret.write_text("AUTH_SECRET=cherry\n")
    paths = (secret, spark.credentials_file(yarn.settings), "/proc/[0-9]*/environ", "/etc/shadow")
    identity = start_command(
        yarn, claimed, f"echo; id -u; grep NoNewPrivs /proc/self/status; cat {' '.join(map(str, paths))}; echo; echo end"
    )
    yarn.outcome(identity)
    wait(lambda: yarn.application(identity)["logAggregationStatus"] == "SUCCEEDED", "its log")
    output = b"".join(hdfs.get(path) for path in logs(hdfs) if identity in path)
    assert b"\nend\n" in output
    if os.geteuid() != 0:
        pytest.skip("the stack runs as this user, and so do its applications: there is no other")
    if reason := hadoop_user.obstacle(yarn.settings):
        pytest.skip(f"Hadoop runs as root here, as {reason}")
    assert f"\n{getpwnam(hadoop_user.NAME).pw_uid}\nNoNewPrivs:\t1\n".encode() in output
    assert not [secret for secret in ["cherry", "root:", *secrets(minio)] if secret.encode() in output]


def test_running_applications_are_killed_before_yarn_stops(yarn: Yarn, tmp_path: Path) -> None:
    identity = yarn.submit(str(Path(__file__).with_name("application.py")), str(tmp_path / "never"), "s3a://lake/never")
    hadoop.kill_applications(yarn.settings)
    assert yarn.outcome(identity) == "KILLED"


def start_command(yarn: Yarn, user: str, command: str) -> str:
    """Runs a command on YARN as any local caller can, under any name; returns the id of its application."""
    address = f"http://127.0.0.1:{yarn.settings.resourcemanager_port}/ws/v1/cluster/apps"
    claim = {"user.name": user}
    identity = str(httpx.post(f"{address}/new-application", params=claim).raise_for_status().json()["application-id"])
    launch = {"commands": {"command": f"({command}) 1><LOG_DIR>/stdout 2><LOG_DIR>/stderr"}}
    order = {"application-id": identity, "application-type": "YARN", "am-container-spec": launch, "max-app-attempts": 1}
    httpx.post(address, params=claim, json=order | {"resource": {"memory": 128, "vCores": 1}}).raise_for_status()
    return identity


def logs(hdfs: Hdfs) -> list[str]:
    """The log files that YARN has aggregated."""
    return hdfs.files("/yarn-logs")
