"""The commands of the local stack, and a training on it."""

import csv
import gzip
import json
import os
import re
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import httpx
import psutil
import pytest
from dotenv import dotenv_values

from tests.e2e.shop import Json, Shop
from tests.e2e.stack import ENGINES, ROOT, SERVICES, Stack, own_stack, running
from tests.engines.stores import Minio
from tests.spark.shop import HEADER, line

PROCESSES = (*SERVICES, *ENGINES, "jobs-worker")
PASSWORD = "correct horse battery"
TRAINING_SECONDS = 900


def sign_up(stack: Stack, email: str) -> httpx.Response:
    return httpx.post(f"{stack.rest}/users", timeout=30, json={"email": email, "password": PASSWORD, "display_name": "Ann"})


def sign_in(stack: Stack, email: str) -> httpx.Response:
    return httpx.post(f"{stack.rest}/auth/token", timeout=30, data={"grant_type": "password", "username": email, "password": PASSWORD})


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """All processes, which are up."""
    with running(own_stack(tmp_path_factory.mktemp("stack"), PROCESSES)) as stack:
        yield stack


def address(stack: Stack, name: str) -> str:
    return f"http://127.0.0.1:{stack.environment[f'{name}_PORT']}"


def test_a_second_up_changes_nothing(stack: Stack) -> None:
    pids = stack.pids()
    assert set(pids) == set(PROCESSES)
    assert "is up already" in stack.up()
    assert stack.pids() == pids


def test_the_first_calls_of_the_readme_work(stack: Stack, tmp_path: Path) -> None:
    sales = tmp_path / "sales.csv"
    sales.write_text("\n".join([HEADER, *(line(time=f"2011-02-{day:02} 10:00:00") for day in range(1, 11))]))
    script = "\n".join(re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE))
    for address, name in (("127.0.0.1:8000", "GATEWAY"), ("127.0.0.1:50051", "AUTH"), ("127.0.0.1:50052", "CATALOG")):
        assert address in script
        script = script.replace(address, f"127.0.0.1:{stack.environment[f'{name}_PORT']}")
    user = {"HASHIRAMART_SERVER": stack.rest, "XDG_CONFIG_HOME": str(tmp_path / "config")}
    environment = {**os.environ, **stack.environment, **user, "FILE": str(sales)}
    command = ["bash", "-euo", "pipefail", "-c", script.replace("curl -s", "curl -s --fail-with-body")]
    answer = subprocess.run(command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=400)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    for expected in (
        '"display_name":"Ann"',
        '"id":"85123A"',
        "rpc ListProducts",
        '"sale_count":"10"',
        '"email": "ann@example.com"',
        "PRICE_CENTS",
    ):
        assert expected in answer.stdout


@pytest.mark.parametrize("name", PROCESSES)
def test_a_killed_process_is_restarted(stack: Stack, name: str) -> None:
    pid = stack.pids()[name]
    os.kill(pid, signal.SIGKILL)
    stack.wait_restarted(name, pid)
    assert httpx.get(f"{stack.rest}/products", timeout=30).status_code == httpx.codes.OK


@pytest.mark.parametrize(
    "name, path",
    [("MINIO_CONSOLE", "/"), ("NAMENODE", "/dfshealth.html"), ("RESOURCEMANAGER", "/cluster"), ("HISTORY", "/"), ("MLFLOW", "/")],
)
def test_the_web_pages_of_the_engines_open(stack: Stack, name: str, path: str) -> None:
    page = httpx.get(f"{address(stack, name)}{path}", auth=stack.mlflow_account if name == "MLFLOW" else None, timeout=30)
    assert page.status_code == httpx.codes.OK
    assert page.headers["content-type"].startswith("text/html")


def test_data_survive_a_stop(stack: Stack) -> None:
    artifact = f"{address(stack, 'MLFLOW')}/api/2.0/mlflow-artifacts/artifacts/stays.txt"
    file = f"{address(stack, 'NAMENODE')}/webhdfs/v1/stays.txt"
    assert sign_up(stack, "stays@example.com").status_code == httpx.codes.CREATED
    assert httpx.put(artifact, content=b"stays", auth=stack.mlflow_account, timeout=30).status_code == httpx.codes.OK
    created = httpx.put(file, params={"op": "CREATE"}, content=b"stays", follow_redirects=True, timeout=30)
    assert created.status_code == httpx.codes.CREATED
    pids = stack.pids()
    stack.down()
    assert not any(psutil.pid_exists(pid) for pid in pids.values())
    assert set(stack.states().values()) == {"stopped"}
    stack.up()
    assert sign_in(stack, "stays@example.com").status_code == httpx.codes.OK
    assert httpx.get(artifact, auth=stack.mlflow_account, timeout=30).content == b"stays"
    assert httpx.get(file, params={"op": "OPEN"}, follow_redirects=True, timeout=30).content == b"stays"


def test_every_process_listens_on_the_loopback_alone(stack: Stack) -> None:
    parents = [psutil.Process(pid) for pid in stack.pids().values()]
    own = {process.pid for parent in parents for process in (parent, *parent.children(recursive=True))}
    sockets = [each.laddr for each in psutil.net_connections("tcp") if each.status == psutil.CONN_LISTEN and each.pid in own]
    # Programs that speak both versions of IP write an address of the older one in the newer one's way.
    listening = {(ip_address(socket.ip.removeprefix("::ffff:")), str(socket.port)) for socket in sockets if socket}
    ports = {stack.environment[f"{name}_PORT"] for name in ("NAMENODE", "RESOURCEMANAGER", "MLFLOW", "GATEWAY")}
    assert ports <= {port for _, port in listening}
    assert [socket for socket in listening if not socket[0].is_loopback] == []


def test_only_the_owner_can_read_secrets_and_no_command_line_has_them(stack: Stack) -> None:
    secrets = [secret for secret in dotenv_values(stack.folder / "secrets.env").values() if secret]
    files = [path for path in stack.folder.rglob("*") if path.is_file() and stack.folder / "data" not in path.parents]
    secret_files = [file for file in files if any(secret in file.read_text(errors="replace") for secret in secrets)]
    assert {stat.S_IMODE(file.stat().st_mode) for file in secret_files} == {stat.S_IRUSR | stat.S_IWUSR}
    commands = [" ".join(psutil.Process(pid).cmdline()) for pid in stack.pids().values()]
    assert not [command for command in commands for secret in secrets if secret in command]
    logs = "".join(log.read_text() for log in (stack.folder / "logs").iterdir())
    assert not [secret for secret in secrets if secret in logs]


def test_each_process_has_a_log(stack: Stack) -> None:
    assert {path.stem for path in (stack.folder / "logs").iterdir()} >= set(PROCESSES)
    result = stack.run("logs", "florist")
    assert result.returncode == 1
    assert "florist" in result.stderr


def write_sample(folder: Path) -> Path:
    """A file with the sales of some eighty products: little data, but two years of it."""
    file = folder / "sales.csv"
    with gzip.open(ROOT / "datasets" / "online_retail_ii.csv.gz", "rt", newline="") as whole, file.open("w", newline="") as few:
        lines, written = csv.reader(whole), csv.writer(few)
        written.writerow(columns := next(lines))
        code = columns.index("StockCode")
        written.writerows(line for line in lines if line[code].startswith("207"))
    return file


def test_one_call_cleans_raw_files_and_trains_and_promotes_a_model(stack: Stack, shop: Shop, tmp_path: Path) -> None:
    landed = stack.run("land", str(write_sample(tmp_path)))
    assert landed.returncode == 0, landed.stderr
    staff = {"authorization": f"Bearer {shop.tokens['staff']}"}
    submitted = shop.http.post("/jobs/training/forecaster", json={"recipe": "quick"}, headers=staff | {"idempotency-key": "train"})
    assert submitted.status_code == httpx.codes.CREATED, submitted.text
    id = submitted.json()["id"]
    with shop.http.stream("GET", f"/jobs/{id}:watch", headers=staff, timeout=TRAINING_SECONDS) as stream:
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


def test_all_processes_end_when_the_supervisor_is_killed(stack: Stack) -> None:
    pids = stack.pids()
    os.kill(psutil.Process(pids["auth"]).ppid(), signal.SIGKILL)
    deadline = time.monotonic() + 30
    while any(psutil.pid_exists(pid) for pid in pids.values()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    # As no later test uses this stack, those that show that it starts again suffice.
    replace(stack, processes=("auth",)).up()
    assert set(stack.pids()) == {"postgres", "auth"}


def test_external_engines_replace_own_ones(fresh_stack: Stack, postgres_url: str, minio: Minio, tmp_path: Path) -> None:
    access_key, secret_key = minio.store.keys["mlflow"]
    external = {
        "POSTGRES_URL": postgres_url,
        "S3_ENDPOINT": minio.store.endpoint,
        "S3_ACCESS_KEY": access_key,
        "S3_SECRET_KEY": secret_key,
        "HADOOP_CONF_DIR": str(tmp_path),
    }
    stack = Stack({**fresh_stack.environment, **external}, ("auth", "catalog", "gateway", "mlflow"))
    stack.up()
    status = stack.run("status").stdout
    assert not [name for name in ("postgres", *ENGINES) if f"{name} " in status and name not in (*stack.processes, "history")]
    assert sign_up(stack, "ann@example.com").status_code == httpx.codes.CREATED
    artifact = f"{address(stack, 'MLFLOW')}/api/2.0/mlflow-artifacts/artifacts/there.txt"
    assert httpx.put(artifact, content=b"there", auth=stack.mlflow_account, timeout=30).status_code == httpx.codes.OK
    assert minio.client("mlflow").stat_object("mlflow", "there.txt").size == len(b"there")
    assert not (stack.folder / "data").exists()


def test_named_processes_start_with_their_dependencies(fresh_stack: Stack) -> None:
    stack = Stack(fresh_stack.environment, ("auth",))
    stack.up()
    assert set(stack.pids()) == {"postgres", "auth"}


def test_a_used_port_is_reported_with_its_setting(fresh_stack: Stack) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", int(fresh_stack.environment["NODEMANAGER_RPC_PORT"])))
        other.listen()
        result = fresh_stack.run("up")
    assert result.returncode == 1
    assert "NODEMANAGER_RPC_PORT" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_folder_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    result = own_stack(file / "stack").run("up")
    assert result.returncode == 1
    assert str(file / "stack") in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_an_invalid_setting_is_reported(tmp_path: Path) -> None:
    result = Stack({**own_stack(tmp_path).environment, "AUTH_PORT": "fifty"}, ()).run("up")
    assert result.returncode == 1
    assert "AUTH_PORT='fifty'" in result.stderr
