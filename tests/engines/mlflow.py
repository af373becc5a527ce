"""MLflow for tests: a real server with tables in PostgreSQL and artifacts in an S3 store."""

import os
from pathlib import Path
from secrets import token_urlsafe

from mlflow import MlflowClient

from stack import credentials, model_secrets
from stack.engines import mlflow
from stack.engines.object_store import ObjectStore
from stack.processes.probes import http_answers
from tests.engines.engine import Engine
from tests.engines.ports import own_settings

ACCOUNTS = tuple(map(model_secrets.password, model_secrets.ACCOUNTS))
# All versions of the tests are signed by it.
SIGNING_KEY = token_urlsafe(32)
# A service's, as every MLflow of the tests has the same accounts.
SERVICE = ("recommender", "the password of the recommender in tests")


class Mlflow(Engine):
    """An MLflow server on a free port."""

    def __init__(self, folder: Path, postgres_url: str, store: ObjectStore) -> None:
        self._settings = own_settings(folder)
        mlflow.initialise(self._settings, postgres_url, store)
        port = self._settings.mlflow_port
        self.url = f"http://127.0.0.1:{port}"
        known = {model_secrets.SIGNING_KEY: SIGNING_KEY, model_secrets.password(SERVICE[0]): SERVICE[1]}
        self.secrets = credentials.load_or_create(folder / "secrets.env", ACCOUNTS, **known)
        self.auth = ("operator", self.secrets["MLFLOW_OPERATOR_PASSWORD"])
        # The accounts of MLflow's own client in this process.
        os.environ.update(zip(("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"), self.auth, strict=True))
        environment = mlflow.environment(self._settings, postgres_url, store) | {name: self.secrets[name] for name in ACCOUNTS}
        super().__init__(folder, mlflow.command(self._settings), lambda: http_answers(port, "/health"), environment)

    def forget(self, model: str) -> None:
        """Deletes a registered model and its versions, if it exists."""
        client = MlflowClient(self.url)
        if client.search_registered_models(f"name='{model}'"):
            client.delete_registered_model(model)

    def forget_models(self) -> None:
        """Deletes all registered models."""
        client = MlflowClient(self.url)
        for model in client.search_registered_models():
            client.delete_registered_model(model.name)

    def forget_version(self, model: str, number: str) -> None:
        """Deletes a version of a registered model."""
        MlflowClient(self.url).delete_model_version(model, number)
