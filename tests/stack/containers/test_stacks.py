"""Both stacks, built and run for real, in the order in which somebody would first use them: `make test-compose`."""

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
# What builds, and has no business where it is only run.
BUILDERS = ("gcc", "cc", "go", "mvn", "javac", "uv", "pip", "pip3", "make")
# Prints the products of the clean data, as the catalogue takes them.
PRODUCTS = """
import json
import pyarrow.parquet as pq
for row in pq.read_table("data/clean/products.parquet").to_pylist():
    print(json.dumps({"id": row["product_id"], **{name: row[name] for name in ("name", "category", "price_cents", "stock")}}))
"""
# Calls a service as somebody without a certificate, in plain text and by TLS.
UNKNOWN_CALLER = """
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


def test_the_images_are_built_and_nothing_that_builds_is_left_in_them(stacks: Stacks) -> None:
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


def test_a_setting_that_is_missing_ends_a_container_at_once_and_is_named() -> None:
    ended = subprocess.run(
        ["docker", "run", "--rm", "hashiramart/mesh", "python", "-m", "services.auth"], check=False, capture_output=True, text=True
    )
    assert ended.returncode == 1
    assert "AUTH_SECRET: Field required" in ended.stderr.splitlines()


def test_hadoop_alone_cleans_what_was_landed(stacks: Stacks) -> None:
    print(f"\nhadoop is up after {stacks.up(files=[HADOOP]):.0f} s")
    stacks.make_boss(HADOOP)
    # Whoever is not up is told of.
    assert stacks.ask("GET", "/products").status_code == httpx.codes.SERVICE_UNAVAILABLE
    stacks.compose("run", "--rm", "--no-deps", "land", files=[HADOOP])
    began = time.monotonic()
    job = stacks.job("/jobs/etl")
    print(f"cleaned in {time.monotonic() - began:.0f} s")
    assert job["state"] == "JOB_STATE_SUCCEEDED_WITH_REJECTS", job
    assert job["etl"]["sale_count"] == 1_014_945
    tell_memory(stacks)
    stacks.compose("stop", files=[HADOOP])


def test_the_pipeline_trains_and_the_shop_recommends(stacks: Stacks) -> None:
    print(f"\nmlops is up after {stacks.up(files=[MLOPS]):.0f} s")
    began = time.monotonic()
    stacks.compose("run", "--rm", "--no-deps", "training", "dvc", "repro", "register_recommender", files=[MLOPS])
    print(f"trained in {time.monotonic() - began:.0f} s")
    products = stacks.compose("run", "--rm", "--no-deps", "training", "python", "-c", PRODUCTS, files=[MLOPS])
    lines = "".join(f"{line}\n" for line in products.splitlines() if line.startswith("{"))
    report = stacks.ask("POST", "/products:import", content=lines).raise_for_status().json()
    assert report["created_count"] > 4000
    assert recommended(stacks)["recommendations"]
    assert recommended(stacks)["model_version"] == "1"
    tell_memory(stacks)


def test_both_at_once_use_the_replicas_that_they_are_given(stacks: Stacks) -> None:
    scale = ("--scale", "nodemanager=3", "--scale", "catalog=2", "--scale", "recommender=2")
    print(f"\nboth are up after {stacks.up(*scale):.0f} s")
    metrics = httpx.get(f"{stacks.address('RESOURCEMANAGER')}/ws/v1/cluster/metrics").json()["clusterMetrics"]
    assert metrics["activeNodes"] == 3
    assert [len(stacks.containers(name)) for name in ("catalog", "recommender")] == [2, 2]


@pytest.mark.parametrize("signal", ["TERM", "KILL"])
def test_a_replica_taken_away_under_load_loses_no_call(stacks: Stacks, signal: str) -> None:
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


def test_a_job_does_it_all(stacks: Stacks) -> None:
    began = time.monotonic()
    job = stacks.job("/jobs/training/recommender", recipe="quick")
    print(f"\ncleaned, trained and judged in {time.monotonic() - began:.0f} s")
    assert job["state"] == "JOB_STATE_SUCCEEDED_WITH_REJECTS", job
    assert job["training"]["model_version"] == "2"
    tell_memory(stacks)


def test_containers_may_do_no_more_than_they_have_to(stacks: Stacks) -> None:
    for name in stacks.containers():
        known = stacks.inspected(name)
        host = known["HostConfig"]
        assert known["Config"]["User"] not in ("", "root", "0"), name
        assert host["Memory"] > 0 and 0 < host["PidsLimit"] <= 1024, name
        assert host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"] and not host["CapAdd"], name
        assert "no-new-privileges:true" in host["SecurityOpt"], name
        assert host["LogConfig"]["Config"]["max-size"], name
        assert all(binding["HostIp"] == "127.0.0.1" for bindings in host["PortBindings"].values() for binding in bindings or ()), name


def test_no_secret_is_seen_from_outside(stacks: Stacks) -> None:
    seen = "".join(run("docker", "inspect", name) for name in stacks.containers())
    seen += "".join(run("docker", "history", "--no-trunc", f"hashiramart/{image}") for image in IMAGES)
    seen += stacks.compose("logs", "--no-color")
    assert [secret for secret in stacks.secrets() if secret in seen] == []


def test_nobody_is_served_without_a_certificate(stacks: Stacks) -> None:
    said = stacks.compose("exec", "-T", "gateway", "python", "-c", UNKNOWN_CALLER)
    assert said.split() == ["UNAVAILABLE", "UNAVAILABLE"]


def test_certificates_are_rotated(stacks: Stacks) -> None:
    def certificate() -> str:
        return stacks.compose("exec", "-T", "auth", "cat", "/run/certificates/tls.crt")

    before = certificate()
    subprocess.run([FOLDER / "rotate"], check=True, env={"PATH": "/usr/local/bin:/usr/bin:/bin", "COMPOSE_PROJECT_NAME": PROJECT})
    assert certificate() != before
    assert recommended(stacks)["recommendations"]


def test_the_gateway_serves_https(stacks: Stacks) -> None:
    stacks.choose(GATEWAY_TLS_CERTIFICATE="/run/https/tls.crt", GATEWAY_TLS_KEY="/run/https/tls.key")
    stacks.up("--no-deps", "gateway")
    assert httpx.get(f"{stacks.address('GATEWAY', 'https')}/healthz", verify=False).json() == {"status": "ok"}  # noqa: S501 its own
    stacks.choose(GATEWAY_TLS_CERTIFICATE="", GATEWAY_TLS_KEY="")
    stacks.up("--no-deps", "gateway")


def test_what_was_put_away_is_answered_from_again(stacks: Stacks) -> None:
    told = {"PATH": "/usr/local/bin:/usr/bin:/bin", "COMPOSE_PROJECT_NAME": PROJECT, "SETTINGS_FOLDER": str(stacks.folder)}
    backup = stacks.folder / "backup.tar.gz"
    before, running = recommended(stacks), stacks.containers()
    began = time.monotonic()
    subprocess.run([FOLDER / "carry", "save", backup], check=True, env=told)
    print(f"\n{backup.stat().st_size / 1e6:.0f} MB put away in {time.monotonic() - began:.0f} s")
    assert sorted(stacks.containers()) == sorted(running)
    stacks.remove()
    subprocess.run([FOLDER / "carry", "load", backup], check=True, env=told)
    stacks.up()
    assert recommended(stacks)["recommendations"] == before["recommendations"]


def test_nothing_is_left(stacks: Stacks) -> None:
    stacks.remove()
    label = f"label=com.docker.compose.project={PROJECT}"
    for kind in (("ps", "--all"), ("volume", "ls"), ("network", "ls")):
        assert run("docker", *kind, "--quiet", "--filter", label) == ""


def recommended(stacks: Stacks) -> Json:
    """What a customer of the sales history is recommended, once there is a model."""
    deadline = time.monotonic() + 60
    while True:
        answer = stacks.ask("GET", "/customers/17841/recommendations?page_size=5")
        if answer.is_success and answer.json()["model_version"] or time.monotonic() > deadline:
            found: Json = answer.raise_for_status().json()
            return found
        time.sleep(1)


def size(image: str) -> int:
    return int(run("docker", "image", "inspect", "--format", "{{.Size}}", image))


def tell_memory(stacks: Stacks) -> None:
    """Prints what each container holds."""
    lines = run("docker", "stats", "--no-stream", "--format", "{{json .}}", *stacks.containers()).splitlines()
    for each in map(json.loads, lines):
        print(f"  {each['Name']:38}{each['MemUsage']}")
