"""MLflow's server: its tables, and the command that serves it."""

import sys
from pathlib import Path

from sqlalchemy import create_engine, make_url
from sqlalchemy.schema import CreateSchema

from compose.local.object_store import ObjectStore
from compose.local.settings import Settings

SCHEMA = "mlflow"


def initialise(settings: Settings, postgres_url: str, store: ObjectStore) -> None:
    """Makes the schema for MLflow's tables, unless it is there, and tells the key of its bucket. The server makes the tables."""
    store.write_credentials("mlflow", credentials_file(settings))
    engine = create_engine(make_url(postgres_url).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        connection.execute(CreateSchema(SCHEMA, if_not_exists=True))
    engine.dispose()


def command(settings: Settings) -> list[str]:
    """Serves MLflow until it gets SIGTERM or who started it is gone."""
    program = str(Path(sys.executable).with_name("mlflow"))
    return ["setpriv", "--pdeathsig=TERM", "--", program, "server", "--host=127.0.0.1", f"--port={settings.mlflow_port}", "--workers=1"]


def environment(settings: Settings, postgres_url: str, store: ObjectStore) -> dict[str, str]:
    """What the server is told, and nobody who lists processes may see."""
    database = make_url(postgres_url).set(drivername="postgresql+psycopg").update_query_dict({"options": f"-csearch_path={SCHEMA}"})
    hosts = [host for name in ("localhost", "127.0.0.1") for host in (name, f"{name}:{settings.mlflow_port}")]
    return {
        "MLFLOW_BACKEND_STORE_URI": database.render_as_string(hide_password=False),
        "MLFLOW_ARTIFACTS_DESTINATION": f"s3://{settings.mlflow_bucket}",
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
