"""MLflow for tests: a real server with tables in PostgreSQL and artifacts in an S3 store."""

from pathlib import Path

from mlflow import MlflowClient

from stack.engines import mlflow
from stack.engines.object_store import ObjectStore
from stack.processes.probes import http_answers
from tests.engines.engine import Engine
from tests.engines.ports import own_settings


class Mlflow(Engine):
    """An MLflow server on a free port."""

    def __init__(self, folder: Path, postgres_url: str, store: ObjectStore) -> None:
        self._settings = own_settings(folder)
        mlflow.initialise(self._settings, postgres_url, store)
        port = self._settings.mlflow_port
        self.url = f"http://127.0.0.1:{port}"
        environment = mlflow.environment(self._settings, postgres_url, store)
        super().__init__(folder, mlflow.command(self._settings), lambda: http_answers(port, "/health"), environment)

    def forget(self, model: str) -> None:
        """Deletes a registered model and its versions, if it exists."""
        client = MlflowClient(self.url)
        if client.search_registered_models(f"name='{model}'"):
            client.delete_registered_model(model)
