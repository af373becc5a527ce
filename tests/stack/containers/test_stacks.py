"""Both stacks, built and run in the order of first use: `make test-compose`."""

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest

from tests.stack.containers.stacks import FOLDER, HADOOP, MLOPS, PROJECT, Json, Stacks, run

pytestmark = pytest.mark.containers

IMAGES = ("mesh", "models", "mlflow", "hadoop", "spark", "training", "minio")
# Build tools, which runtime images must not have.
BUILDERS = ("gcc", "cc", "go", "mvn", "javac", "uv", "pip", "pip3", "make")
# Prints the products of the clean data in the catalogue's format.
PRODUCTS = """
import json
import pyarrow.parquet as pq
for row in pq.read_table("data/clean/products.parquet").to_pylist():
    print(json.dumps({"id": row["product_id"], **{name: row[name] for name in ("name", "category", "price_cents", "stock")}}))
"""
# Calls a service without a client certificate, in plain text and over TLS.
CALL_WITHOUT_CERTIFICATE = """
import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

for channel in (grpc.insecure_channel("auth:50051"), grpc.secure_channel("auth:50051",
        grpc.ssl_channel_credentials(open("/run/certificates/ca.crt", "rb").read()))):
    try:
        health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
        print("answered")
    except grpc.RpcError as error:
        print(error.code().name)
"""


@pytest.fixture(scope="module")
def stacks() -> Iterator[Stacks]:
    with TemporaryDirectory(prefix="hashiramart-") as folder:
        stacks = Stacks(Path(folder))
        try:
            yield stacks
        finally:
            stacks.remove()


def test_images_are_built_without_build_tools(stacks: Stacks) -> None:
    began = time.monotonic()
    stacks.compose("--profile", "*", "build")
    print(f"\nbuilt in {time.monotonic() - began:.0f} s")
    base = size("debian:bookworm-slim")
    for image in IMAGES:
        print(f"{image:10}{size(f'hashiramart/{image}') / 1e6:6.0f} MB, of which {base / 1e6:.0f} MB are Debian's")
        found = run(
            "docker", "run", "--rm", "--network", "none", f"hashiramart/{image}", "sh", "-c", f"command -v {' '.join(BUILDERS)} || true"
        )
        assert found == "", image
    assert "pyspark" not in run("docker", "run", "--rm", "hashiramart/mesh", "ls", "/opt/venv/lib/python3.11/site-packages")


def test_a_container_without_a_required_setting_exits_with_its_name() -> None:
    ended = subprocess.run(
        ["docker", "run", "--rm", "hashiramart/mesh", "python", "-m", "services.auth"], check=False, capture_output=True, text=True
    )
    assert ended.returncode == 1
    assert "AUTH_SECRET: Field required" in ended.stderr.splitlines()


def test_the_hadoop_stack_alone_cleans_landed_sales(stacks: Stacks) -> None:
    print(f"\nhadoop is up after {stacks.up(files=[HADOOP]):.0f} s")
    stacks.create_admin(HADOOP)
    # The catalogue is not up.
    assert stacks.call("GET", "/products").status_code == httpx.codes.SERVICE_UNAVAILABLE
    stacks.compose("run", "--rm", "--no-deps", "land", files=[HADOOP])
    began = time.monotonic()
    job = stacks.run_job("/jobs/etl")
    print(f"cleaned in {time.monotonic() - began:.0f} s")
    assert job["state"] == "JOB_STATE_SUCCEEDED_WITH_REJECTS", job
    assert job["etl_result"]["sale_count"] == "1014945"
    print_memory(stacks)
    stacks.compose("stop", files=[HADOOP])


def test_the_mlops_stack_alone_trains_and_recommends(stacks: Stacks) -> None:
    print(f"\nmlops is up after {stacks.up(files=[MLOPS]):.0f} s")
    began = time.monotonic()
    stacks.compose("run", "--rm", "--no-deps", "training", "dvc", "repro", "register_recommender", files=[MLOPS])
    print(f"trained in {time.monotonic() - began:.0f} s")
    products = stacks.compose("run", "--rm", "--no-deps", "training", "python", "-c", PRODUCTS, files=[MLOPS])
    lines = "".join(f"{line}\n" for line in products.splitlines() if line.startswith("{"))
    report = stacks.call("POST", "/products:import", content=lines).raise_for_status().json()
    assert report["created_count"] > 4000
    assert recommendations_of(stacks)["recommendations"]
    assert recommendations_of(stacks)["model_version"] == "1"
    print_memory(stacks)


def test_both_stacks_run_with_replicas(stacks: Stacks) -> None:
    scale = ("--scale", "nodemanager=3", "--scale", "catalog=2", "--scale", "recommender=2")
    print(f"\nboth are up after {stacks.up(*scale):.0f} s")
    answer = stacks.compose("exec", "-T", "resourcemanager", "curl", "--silent", "http://resourcemanager:8088/ws/v1/cluster/metrics")
    metrics = json.loads(answer)["clusterMetrics"]
    assert metrics["activeNodes"] == 3
    assert [len(stacks.containers(name)) for name in ("catalog", "recommender")] == [2, 2]


@pytest.mark.parametrize("signal", ["TERM", "KILL"])
def test_a_stopped_or_killed_replica_loses_no_call(stacks: Stacks, signal: str) -> None:
    stop, answers = threading.Event(), []

    def ask() -> None:
        with httpx.Client(base_url=stacks.address("GATEWAY"), timeout=30) as client:
            while not stop.is_set():
                answers.append(client.get("/products?page_size=5").status_code)

    callers = [threading.Thread(target=ask) for _ in range(8)]
    for caller in callers:
        caller.start()
    time.sleep(5)
    first, second = stacks.containers("catalog")
    before = len(answers)
    run("docker", "kill", "--signal", signal, first)
    time.sleep(5)
    stop.set()
    for caller in callers:
        caller.join()
    print(f"\n{before} calls before {first} got SIG{signal}, {len(answers) - before} after")
    assert len(answers) > before > 0
    assert set(answers) == {200}
    run("docker", "start", first)
    stacks.up("--no-recreate", "--scale", "nodemanager=3", "--scale", "catalog=2", "--scale", "recommender=2")
    assert len(stacks.containers("catalog")) == 2, second


def test_a_training_job_cleans_trains_and_promotes(stacks: Stacks) -> None:
    began = time.monotonic()
    job = stacks.run_job("/jobs/training/recommender", recipe="quick")
    print(f"\ncleaned, trained and evaluated in {time.monotonic() - began:.0f} s")
    assert job["state"] == "JOB_STATE_SUCCEEDED_WITH_REJECTS", job
    assert job["training_result"]["model_version"] == "2"
    print_memory(stacks)


def test_containers_have_minimal_privileges(stacks: Stacks) -> None:
    for name in stacks.containers():
        known = stacks.inspect(name)
        host = known["HostConfig"]
        assert known["Config"]["User"] not in ("", "root", "0"), name
        assert host["Memory"] > 0 and 0 < host["PidsLimit"] <= 1024, name
        assert host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"] and not host["CapAdd"], name
        assert "no-new-privileges:true" in host["SecurityOpt"], name
        assert host["LogConfig"]["Config"]["max-size"], name
        assert all(binding["HostIp"] == "127.0.0.1" for bindings in host["PortBindings"].values() for binding in bindings or ()), name


def test_no_secret_is_visible_from_outside(stacks: Stacks) -> None:
    seen = "".join(run("docker", "inspect", name) for name in stacks.containers())
    seen += "".join(run("docker", "history", "--no-trunc", f"hashiramart/{image}") for image in IMAGES)
    seen += stacks.compose("logs", "--no-color")
    assert [secret for secret in stacks.secrets() if secret in seen] == []


def test_calls_without_a_certificate_are_rejected(stacks: Stacks) -> None:
    output = stacks.compose("exec", "-T", "gateway", "python", "-c", CALL_WITHOUT_CERTIFICATE)
    assert output.split() == ["UNAVAILABLE", "UNAVAILABLE"]


def test_certificates_are_rotated(stacks: Stacks) -> None:
    def certificate() -> str:
        return stacks.compose("exec", "-T", "auth", "cat", "/run/certificates/tls.crt")

    before = certificate()
    subprocess.run([FOLDER / "rotate"], check=True, env={"PATH": "/usr/local/bin:/usr/bin:/bin", "COMPOSE_PROJECT_NAME": PROJECT})
    assert certificate() != before
    assert recommendations_of(stacks)["recommendations"]


def test_the_gateway_serves_https(stacks: Stacks) -> None:
    stacks.configure(GATEWAY_TLS_CERTIFICATE="/run/https/tls.crt", GATEWAY_TLS_KEY="/run/https/tls.key")
    stacks.up("--no-deps", "gateway")
    assert httpx.get(f"{stacks.address('GATEWAY', 'https')}/healthz", verify=False).json() == {"status": "ok"}  # noqa: S501 its own
    stacks.configure(GATEWAY_TLS_CERTIFICATE="", GATEWAY_TLS_KEY="")
    stacks.up("--no-deps", "gateway")


def test_what_was_put_away_is_answered_from_again(stacks: Stacks) -> None:
    settings = {"PATH": "/usr/local/bin:/usr/bin:/bin", "COMPOSE_PROJECT_NAME": PROJECT, "SETTINGS_FOLDER": str(stacks.folder)}
    backup = stacks.folder / "backup.tar.gz"
    before, running = recommendations_of(stacks), stacks.containers()
    began = time.monotonic()
    subprocess.run([FOLDER / "carry", "save", backup], check=True, env=settings)
    print(f"\n{backup.stat().st_size / 1e6:.0f} MB put away in {time.monotonic() - began:.0f} s")
    assert sorted(stacks.containers()) == sorted(running)
    stacks.remove()
    subprocess.run([FOLDER / "carry", "load", backup], check=True, env=settings)
    stacks.up()
    assert recommendations_of(stacks)["recommendations"] == before["recommendations"]


def test_nothing_is_left(stacks: Stacks) -> None:
    stacks.remove()
    label = f"label=com.docker.compose.project={PROJECT}"
    for kind in (("ps", "--all"), ("volume", "ls"), ("network", "ls")):
        assert run("docker", *kind, "--quiet", "--filter", label) == ""


def recommendations_of(stacks: Stacks) -> Json:
    """The recommendations for a customer of the sales history, once there is a model."""
    deadline = time.monotonic() + 60
    while True:
        answer = stacks.call("GET", "/customers/17841/recommendations?page_size=5")
        if answer.is_success and answer.json()["model_version"] or time.monotonic() > deadline:
            found: Json = answer.raise_for_status().json()
            return found
        time.sleep(1)


def size(image: str) -> int:
    return int(run("docker", "image", "inspect", "--format", "{{.Size}}", image))


def print_memory(stacks: Stacks) -> None:
    """Prints the memory of each container."""
    lines = run("docker", "stats", "--no-stream", "--format", "{{json .}}", *stacks.containers()).splitlines()
    for each in map(json.loads, lines):
        print(f"  {each['Name']:38}{each['MemUsage']}")
