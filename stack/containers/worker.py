"""Tells Spark and DVC of the stack, then becomes the jobs' worker: `python -m stack.containers.worker`."""

import os
import sys
from pathlib import Path

from mesh.settings import read
from stack.containers import training
from stack.containers.store import Store
from stack.engines import packages, spark
from stack.settings import Settings

OUR_CLUSTER = Path("/etc/hadoop")
S3A = "/opt/s3a"
CREDENTIALS = Path("/run/secrets/spark.credentials")
PACKAGES = Path("/tmp/packages.tar.gz")  # noqa: S108 nobody else is in the container


def main() -> None:
    settings = read(Settings)
    training.configure(settings)
    reached = {
        "s3a": S3A,
        "packages": str(PACKAGES),
        "s3_endpoint": read(Store).url,
        "s3_region": settings.s3_region,
        "credentials": str(CREDENTIALS),
        "credentials_name": CREDENTIALS.name,
        "history_address": f"127.0.0.1:{settings.history_port}",
    }
    if settings.hadoop_conf_dir == OUR_CLUSTER:
        template = "every-node.conf"
        os.environ["PYSPARK_ARCHIVES_PATH"] = spark.archives()
    else:
        template = "any-cluster.conf"
        packages.pack(PACKAGES)
    Path(os.environ["JOBS_SPARK_PROPERTIES"]).write_text(spark.properties(reached, [template]))
    os.execv(sys.executable, [sys.executable, "-m", "services.jobs.worker"])


if __name__ == "__main__":
    main()
