"""MLflow's server: its tables, environment and command."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import psycopg

from stack.engines.object_store import ObjectStore, credentials_environment
from stack.settings import Settings

SCHEMA = "mlflow"
# The server creates its tables on its first request. When two requests come first at the same time, their migrations deadlock,
# so this does the same before it starts. MLflow has no command for that: `mlflow db upgrade` upgrades existing tables only.
CREATE_TABLES = """
import os
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
SqlAlchemyStore(os.environ["_MLFLOW_SERVER_FILE_STORE"], os.environ["_MLFLOW_SERVER_ARTIFACT_ROOT"])
"""


def initialise(settings: Settings, postgres_url: str, store: ObjectStore) -> None:
    """Writes the credentials file, and creates MLflow's tables unless they exist."""
    store.write_credentials("mlflow", credentials_file(settings))
    create_tables(postgres_url, environment(settings, postgres_url, store))


def create_tables(postgres_url: str, environment: Mapping[str, str]) -> None:
    """Creates MLflow's tables unless they exist.

    environment: of the server
    """
    with psycopg.connect(postgres_url) as connection:
        # PostgreSQL refuses `IF NOT EXISTS` as well to a role that may not create schemas.
        if connection.execute("SELECT to_regnamespace(%s)", [SCHEMA]).fetchone() == (None,):
            connection.execute(f"CREATE SCHEMA {SCHEMA}")
        # Alembic writes its version in the same transaction as the tables.
        exists = connection.execute("SELECT to_regclass(%s)", [f"{SCHEMA}.alembic_version"]).fetchone() != (None,)
    if not exists:
        subprocess.run([sys.executable, "-c", CREATE_TABLES], env=os.environ | environment, check=True, capture_output=True, text=True)


def command(settings: Settings) -> list[str]:
    """The command that serves MLflow on the loopback until SIGTERM or the end of its parent process."""
    return ["setpriv", "--pdeathsig=TERM", "--", *server_command("127.0.0.1", settings.mlflow_port)]


def server_command(host: str, port: int) -> list[str]:
    """The command that serves MLflow at this address."""
    # `mlflow server` starts this as a child and stays beside it, which doubles the memory; killed, it leaves a child that holds the port.
    return [sys.executable, "-m", "uvicorn", f"--host={host}", f"--port={port}", "--factory", "stack.engines.mlflow_sign_in:create"]


def environment(settings: Settings, postgres_url: str, store: ObjectStore) -> dict[str, str]:
    """The environment of the server, but for the passwords of the accounts."""
    return server_environment(settings, postgres_url, store.endpoint, credentials_file(settings), ("localhost", "127.0.0.1"))


def server_environment(settings: Settings, postgres_url: str, endpoint: str, credentials: Path, names: Sequence[str]) -> dict[str, str]:
    """The environment of the server. It has the database's password, which therefore stays out of the command line.

    endpoint: of the S3 store
    names: the host names under which clients call the server; it rejects others
    """
    hosts = [host for name in names for host in (name, f"{name}:{settings.mlflow_port}")]
    return {
        # Undocumented: `mlflow server` hands its options to the uvicorn that it starts by these variables (mlflow/server/__init__.py), and
        # there is no other way for a uvicorn that is started directly. With a boot id, the server runs no code of stored scorers.
        "_MLFLOW_SERVER_FILE_STORE": _sqlalchemy_url(postgres_url),
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": f"s3://{settings.mlflow_bucket}",
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "_MLFLOW_SERVER_BOOT_ID": "local",
        "MLFLOW_S3_ENDPOINT_URL": endpoint,
        "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(hosts),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # Job execution is for language models, and takes three more processes.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "AWS_DEFAULT_REGION": settings.s3_region,
        **credentials_environment(credentials),
    }


def credentials_file(settings: Settings) -> Path:
    return settings.stack_folder / "mlflow.credentials"


def _sqlalchemy_url(postgres_url: str) -> str:
    """The URL of MLflow's schema, for SQLAlchemy."""
    # SQLAlchemy itself could do this, but takes longer to import than all else that `make status` needs.
    parts = urlsplit(postgres_url)
    query = dict(parse_qsl(parts.query)) | {"options": f"-csearch_path={SCHEMA}"}
    return urlunsplit(parts._replace(scheme="postgresql+psycopg", query=urlencode(query)))
