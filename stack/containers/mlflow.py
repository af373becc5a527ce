"""Creates MLflow's tables, then becomes its server: `python -m stack.containers.mlflow`."""

import os
from pathlib import Path

from pydantic import PostgresDsn

from mesh.settings import EnvironmentSettings, read
from stack.containers.store import StoreSettings
from stack.engines import mlflow
from stack.settings import Settings

NAMES = ("mlflow", "localhost", "127.0.0.1")
CREDENTIALS = Path("/run/secrets/mlflow.credentials")


class MlflowSettings(EnvironmentSettings, env_prefix="MLFLOW_"):
    """Read from the environment as `MLFLOW_...`."""

    database_url: PostgresDsn


def main() -> None:
    settings, database_url = read(Settings), str(read(MlflowSettings).database_url)
    environment = mlflow.server_environment(settings, database_url, read(StoreSettings).url, CREDENTIALS, NAMES)
    mlflow.create_tables(database_url, environment)
    # The database's password is in the environment of this process only, not in that of the container, which the engine shows.
    command = mlflow.server_command("0.0.0.0", settings.mlflow_port)  # noqa: S104 the containers' network is private
    os.execve(command[0], command, os.environ | environment)


if __name__ == "__main__":
    main()
