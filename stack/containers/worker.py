"""Writes the configuration of Spark and DVC, then becomes the jobs worker: `python -m stack.containers.worker`."""

import os
import sys
from pathlib import Path

from mesh.settings import read
from stack.containers import training
from stack.containers.store import StoreSettings
from stack.engines import packages, spark
from stack.settings import Settings

# The configuration of the stack's own cluster in the image.
OWN_CLUSTER = Path("/etc/hadoop")
S3A = "/opt/s3a"
CREDENTIALS = Path("/run/secrets/spark.credentials")
PACKAGES = Path("/tmp/packages.tar.gz")  # noqa: S108 the container has no other users


def main() -> None:
    settings = read(Settings)
    training.configure(settings)
    values = {
        "s3a": S3A,
        "packages": str(PACKAGES),
        "s3_endpoint": read(StoreSettings).url,
        "s3_region": settings.s3_region,
        "credentials": str(CREDENTIALS),
        "credentials_name": CREDENTIALS.name,
        "history_address": f"127.0.0.1:{settings.history_port}",
    }
    if settings.hadoop_conf_dir == OWN_CLUSTER:
        template = "every-node.conf"
        os.environ["PYSPARK_ARCHIVES_PATH"] = spark.python_archives()
    else:
        template = "any-cluster.conf"
        packages.pack(PACKAGES)
    Path(os.environ["JOBS_SPARK_PROPERTIES"]).write_text(spark.properties(values, [template]))
    os.execv(sys.executable, [sys.executable, "-m", "services.jobs.worker"])


if __name__ == "__main__":
    main()
