"""The stacks with a database, a store and a cluster that are somebody else's: `make test-compose`."""

import gzip
import itertools
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.stack.containers.stacks import FOLDER, HADOOP, MLOPS, Stacks, run

pytestmark = pytest.mark.containers


# Another installation's engines play the part. Its nodes have Java and Python, and nothing of ours.
THEIRS = "hashiramart-theirs"
BARE_NODE = """
services:
  nodemanager: {image: hashiramart/hadoop}
"""
# Here we meet them.
THEIR_NETWORK = f"""
networks:
  default: {{name: {THEIRS}_default, external: true}}
"""
CLIENT_CONFIGURATION = ("core-site.xml", "hdfs-site.xml", "yarn-site.xml")
SALES = FOLDER.parent / "datasets" / "online_retail_ii.csv.gz"
LINE_COUNT = 20_000


@pytest.fixture(scope="module")
def theirs() -> Iterator[Stacks]:
    with TemporaryDirectory(prefix="hashiramart-") as folder:
        bare = Path(folder) / "bare.yml"
        bare.write_text(BARE_NODE)
        stacks = Stacks(Path(folder), THEIRS)
        try:
            stacks.compose("up", "--detach", "--wait", "postgres", "minio", "nodemanager", files=(HADOOP, bare))
            stacks.compose("run", "--rm", "buckets", files=[HADOOP])
            yield stacks
        finally:
            stacks.remove()


@pytest.fixture(scope="module")
def ours(theirs: Stacks) -> Iterator[Stacks]:
    with TemporaryDirectory(prefix="hashiramart-") as folder:
        stacks = Stacks(Path(folder))
        try:
            yield stacks
        finally:
            stacks.remove()


def test_what_is_somebody_elses_takes_the_place_of_ours(theirs: Stacks, ours: Stacks) -> None:
    configuration, sales, network = (ours.folder / name for name in ("their-hadoop", "sales", "network.yml"))
    configuration.mkdir()
    for name in CLIENT_CONFIGURATION:
        (configuration / name).write_text(run("docker", "run", "--rm", "hashiramart/hadoop", "cat", f"/etc/hadoop/{name}"))
    sales.mkdir()
    with gzip.open(SALES, "rt") as lines:
        (sales / "sales.csv").write_text("".join(itertools.islice(lines, 1 + LINE_COUNT)))
    network.write_text(THEIR_NETWORK)

    password, key = ((theirs.folder / "secrets" / name).read_text() for name in ("POSTGRES_PASSWORD", "MINIO_ROOT_PASSWORD"))
    ours.choose(
        POSTGRES_URL=f"postgresql://hashiramart:{password}@{THEIRS}-postgres-1:5432/hashiramart",
        S3_ENDPOINT=f"http://{THEIRS}-minio-1:9000",
        S3_ACCESS_KEY="hashiramart",
        S3_SECRET_KEY=key,
        HADOOP_CONF_DIR=str(configuration),
        JOBS_YARN_URL=f"http://{THEIRS}-resourcemanager-1:8088",
        JOBS_WEBHDFS_URL=f"http://{THEIRS}-namenode-1:9870",
        LANDING_RAW_ROOT=f"webhdfs://hashiramart@{THEIRS}-namenode-1:9870/hashiramart/raw",
        DATASETS=str(sales),
    )
    ours.up(files=(MLOPS, HADOOP, network))
    services = {name.removeprefix(f"{ours.project}-").removesuffix("-1") for name in ours.containers()}
    assert services == {"gateway", "auth", "catalog", "recommender", "forecaster", "mlflow", "jobs", "jobs-worker", "history"}

    ours.make_boss(MLOPS, HADOOP, network)
    ours.compose("run", "--rm", "--no-deps", "land", "/datasets/sales.csv", files=(MLOPS, HADOOP, network))
    job = ours.job("/jobs/etl")
    assert job["state"] == "JOB_STATE_SUCCEEDED_WITH_REJECTS", job
    assert job["etl"]["row_count"] == LINE_COUNT
    assert ours.ask("GET", "/products").status_code == 200
