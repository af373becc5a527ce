"""MLflow's server: its tables, and the command that serves it."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from sqlalchemy import create_engine, inspect, make_url
from sqlalchemy.schema import CreateSchema

from stack.engines.object_store import ObjectStore, told_key
from stack.settings import Settings

SCHEMA = "mlflow"
# Makes the tables, as the server would when it is first asked: then two requests at a time would each wait for the other's.
MAKE_TABLES = """
import os
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
SqlAlchemyStore(os.environ["_MLFLOW_SERVER_FILE_STORE"], os.environ["_MLFLOW_SERVER_ARTIFACT_ROOT"])
"""


def initialise(settings: Settings, postgres_url: str, store: ObjectStore) -> None:
    """Makes MLflow's tables, unless they are there, and tells the key of its bucket."""
    store.write_credentials("mlflow", credentials_file(settings))
    make_tables(postgres_url, environment(settings, postgres_url, store))


def make_tables(postgres_url: str, told: Mapping[str, str]) -> None:
    """Makes MLflow's tables, unless they are there, for a server that is told this."""
    engine = create_engine(make_url(postgres_url).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        connection.execute(CreateSchema(SCHEMA, if_not_exists=True))
        # Alembic notes what it has done in the transaction in which it does it.
        made = inspect(connection).has_table("alembic_version", SCHEMA)
    engine.dispose()
    if not made:
        subprocess.run([sys.executable, "-c", MAKE_TABLES], env=os.environ | told, check=True, capture_output=True, text=True)


def command(settings: Settings) -> list[str]:
    """Serves MLflow until it gets SIGTERM or who started it is gone."""
    return ["setpriv", "--pdeathsig=TERM", "--", *server("127.0.0.1", settings.mlflow_port)]


def server(host: str, port: int) -> list[str]:
    """Serves MLflow at this address."""
    # `mlflow server` would start this too and stay beside it, as large, and when that is killed, this would hold the port.
    return [sys.executable, "-m", "uvicorn", f"--host={host}", f"--port={port}", "mlflow.server.fastapi_app:app"]


def environment(settings: Settings, postgres_url: str, store: ObjectStore) -> dict[str, str]:
    return told(settings, postgres_url, store.endpoint, credentials_file(settings), ("localhost", "127.0.0.1"))


def told(settings: Settings, postgres_url: str, endpoint: str, credentials: Path, names: Sequence[str]) -> dict[str, str]:
    """What the server is told that is called by these names, and nobody who lists processes may see."""
    database = make_url(postgres_url).set(drivername="postgresql+psycopg").update_query_dict({"options": f"-csearch_path={SCHEMA}"})
    hosts = [host for name in names for host in (name, f"{name}:{settings.mlflow_port}")]
    return {
        # As `mlflow server` tells them to the server that it starts; with the last one set, no code of a model is run in it.
        "_MLFLOW_SERVER_FILE_STORE": database.render_as_string(hide_password=False),
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": f"s3://{settings.mlflow_bucket}",
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "_MLFLOW_SERVER_BOOT_ID": "local",
        "MLFLOW_S3_ENDPOINT_URL": endpoint,
        "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(hosts),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # What it runs on its own, for language models, would be three more processes.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "AWS_DEFAULT_REGION": settings.s3_region,
        **told_key(credentials),
    }


def credentials_file(settings: Settings) -> Path:
    return settings.stack_folder / "mlflow.credentials"
