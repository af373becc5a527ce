"""MLflow's server: its tables, and the command that serves it."""

import sys
from contextlib import closing
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path

from sqlalchemy import create_engine, make_url
from sqlalchemy.schema import CreateSchema

from compose.local.object_store import ObjectStore
from compose.local.settings import Settings

SCHEMA = "mlflow"
# How long it may take to make its tables.
TABLES_SECONDS = 120


def initialise(settings: Settings, postgres_url: str, store: ObjectStore) -> None:
    """Makes the schema for MLflow's tables, unless it is there, and tells the key of its bucket. The server makes the tables."""
    store.write_credentials("mlflow", credentials_file(settings))
    engine = create_engine(make_url(postgres_url).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        connection.execute(CreateSchema(SCHEMA, if_not_exists=True))
    engine.dispose()


def furnish(settings: Settings) -> None:
    """Lets the server make its tables, which it does when it is first asked for what is in them."""
    with closing(HTTPConnection("127.0.0.1", settings.mlflow_port, timeout=TABLES_SECONDS)) as connection:
        connection.request("GET", "/api/2.0/mlflow/experiments/search?max_results=1")
        answer = connection.getresponse()
        if answer.status != HTTPStatus.OK:
            raise RuntimeError(answer.read().decode(errors="replace"))


def command(settings: Settings) -> list[str]:
    """Serves MLflow until it gets SIGTERM or who started it is gone."""
    # `mlflow server` would start this too and stay beside it, as large, and when that is killed, this would hold the port.
    program = [sys.executable, "-m", "uvicorn", "--host=127.0.0.1", f"--port={settings.mlflow_port}", "mlflow.server.fastapi_app:app"]
    return ["setpriv", "--pdeathsig=TERM", "--", *program]


def environment(settings: Settings, postgres_url: str, store: ObjectStore) -> dict[str, str]:
    """What the server is told, and nobody who lists processes may see."""
    database = make_url(postgres_url).set(drivername="postgresql+psycopg").update_query_dict({"options": f"-csearch_path={SCHEMA}"})
    hosts = [host for name in ("localhost", "127.0.0.1") for host in (name, f"{name}:{settings.mlflow_port}")]
    return {
        # As `mlflow server` tells them to the server that it starts; with the last one set, no code of a model is run in it.
        "_MLFLOW_SERVER_FILE_STORE": database.render_as_string(hide_password=False),
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": f"s3://{settings.mlflow_bucket}",
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "_MLFLOW_SERVER_BOOT_ID": "local",
        "MLFLOW_S3_ENDPOINT_URL": store.endpoint,
        "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(hosts),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # What it runs on its own, for language models, would be three more processes.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "AWS_SHARED_CREDENTIALS_FILE": str(credentials_file(settings)),
        "AWS_DEFAULT_REGION": store.region,
    }


def credentials_file(settings: Settings) -> Path:
    return settings.stack_folder / "mlflow.credentials"
