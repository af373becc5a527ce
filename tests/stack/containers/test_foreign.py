"""The stacks with an external database, store and cluster: `make test-compose`."""

import gzip
import itertools
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.stack.containers.stacks import FOLDER, HADOOP, MLOPS, Stacks, run

pytestmark = pytest.mark.containers


# The external engines are those of another installation, whose nodes have Java and Python only.
EXTERNAL = "hashiramart-external"
BARE_NODE = """
services:
  nodemanager: {image: hashiramart/hadoop}
"""
# The network of the external engines.
EXTERNAL_NETWORK = f"""
networks:
  default: {{name: {EXTERNAL}_default, external: true}}
"""
CLIENT_CONFIGURATION = ("core-site.xml", "hdfs-site.xml", "yarn-site.xml")
SALES = FOLDER.parent / "datasets" / "online_retail_ii.csv.gz"
LINE_COUNT = 20_000


@pytest.fixture(scope="module")
def external() -> Iterator[Stacks]:
    with TemporaryDirectory(prefix="hashiramart-") as folder:
        bare = Path(folder) / "bare.yml"
        bare.write_text(BARE_NODE)
        stacks = Stacks(Path(folder), EXTERNAL)
        try:
            stacks.compose("up", "--detach", "--wait", "postgres", "minio", "nodemanager", files=(HADOOP, bare))
            stacks.compose("run", "--rm", "buckets", files=[HADOOP])
            yield stacks
        finally:
            stacks.remove()


@pytest.fixture(scope="module")
def stacks(external: Stacks) -> Iterator[Stacks]:
    with TemporaryDirectory(prefix="hashiramart-") as folder:
        stacks = Stacks(Path(folder))
        try:
            yield stacks
        finally:
            stacks.remove()


def test_external_engines_replace_own_ones(external: Stacks, stacks: Stacks) -> None:
    configuration, sales, network = (stacks.folder / name for name in ("external-hadoop", "sales", "network.yml"))
    configuration.mkdir()
    for name in CLIENT_CONFIGURATION:
        (configuration / name).write_text(run("docker", "run", "--rm", "hashiramart/hadoop", "cat", f"/etc/hadoop/{name}"))
    sales.mkdir()
    with gzip.open(SALES, "rt") as lines:
        (sales / "sales.csv").write_text("".join(itertools.islice(lines, 1 + LINE_COUNT)))
    network.write_text(EXTERNAL_NETWORK)

    password, key = ((external.folder / "secrets" / name).read_text() for name in ("POSTGRES_PASSWORD", "MINIO_ROOT_PASSWORD"))
    stacks.configure(
        POSTGRES_URL=f"postgresql://hashiramart:{password}@{EXTERNAL}-postgres-1:5432/hashiramart",
        S3_ENDPOINT=f"http://{EXTERNAL}-minio-1:9000",
        S3_ACCESS_KEY="hashiramart",
        S3_SECRET_KEY=key,
        HADOOP_CONF_DIR=str(configuration),
        JOBS_YARN_URL=f"http://{EXTERNAL}-resourcemanager-1:8088",
        JOBS_WEBHDFS_URL=f"http://{EXTERNAL}-namenode-1:9870",
        LANDING_RAW_ROOT=f"webhdfs://hashiramart@{EXTERNAL}-namenode-1:9870/hashiramart/raw",
        DATASETS=str(sales),
    )
    stacks.up(files=(MLOPS, HADOOP, network))
    services = {name.removeprefix(f"{stacks.project}-").removesuffix("-1") for name in stacks.containers()}
    assert services == {"gateway", "auth", "catalog", "recommender", "forecaster", "mlflow", "jobs", "jobs-worker", "history"}

    stacks.create_admin(MLOPS, HADOOP, network)
    stacks.compose("run", "--rm", "--no-deps", "land", "/datasets/sales.csv", files=(MLOPS, HADOOP, network))
    job = stacks.run_job("/jobs/etl")
    assert job["state"] == "JOB_STATE_SUCCEEDED_WITH_REJECTS", job
    assert job["etl_result"]["row_count"] == str(LINE_COUNT)
    assert stacks.call("GET", "/products").status_code == 200
