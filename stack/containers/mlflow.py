"""Makes MLflow's tables, then becomes its server: `python -m stack.containers.mlflow`."""

import os
from pathlib import Path

from pydantic import PostgresDsn

from mesh.settings import EnvironmentSettings, read
from stack.containers.store import Store
from stack.engines import mlflow
from stack.settings import Settings

NAMES = ("mlflow", "localhost", "127.0.0.1")
CREDENTIALS = Path("/run/secrets/mlflow.credentials")


class Server(EnvironmentSettings, env_prefix="MLFLOW_"):
    """Read from the environment as `MLFLOW_...`."""

    database_url: PostgresDsn


def main() -> None:
    settings, database_url = read(Settings), str(read(Server).database_url)
    told = mlflow.told(settings, database_url, read(Store).url, CREDENTIALS, NAMES)
    mlflow.make_tables(database_url, told)
    # Nobody outside of its container sees what a process has in its environment.
    command = mlflow.server("0.0.0.0", settings.mlflow_port)  # noqa: S104 the containers' network is private
    os.execve(command[0], command, os.environ | told)


if __name__ == "__main__":
    main()
