"""Configuration of DVC and the training pipeline for the stack."""

import json
import os
import subprocess
import sys
from base64 import b64encode
from collections.abc import Mapping
from configparser import ConfigParser
from http.client import HTTPException
from io import StringIO
from pathlib import Path
from urllib.request import Request, urlopen

from stack import files, model_secrets
from stack.engines.object_store import ObjectStore, credentials_environment
from stack.settings import ROOT, Settings

# MLflow reads its tables.
_MLFLOW_SECONDS = 30


def configure(settings: Settings, store: ObjectStore) -> None:
    """Writes DVC's configuration and the credentials file that it names."""
    folder = configuration_folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    store.write_credentials("training", credentials_file(settings))
    files.replace(folder / "config", dvc_config(settings, store.endpoint, credentials_file(settings), folder))


def dvc_config(settings: Settings, endpoint: str, credentials: Path, folder: Path) -> str:
    """The contents of DVC's configuration file, with the remotes in the store at `endpoint` and the cache in `folder`."""
    access = {"endpointurl": endpoint, "region": settings.s3_region, "credentialpath": str(credentials)}
    sections = ConfigParser(interpolation=None)
    sections["core"] = {"site_cache_dir": str(folder / "site")}
    # Shared by all checkouts and jobs on this machine.
    sections["cache"] = {"dir": str(folder / "cache")}
    sections["'remote \"lake\"'"] = {"url": f"s3://{settings.lake_bucket}", **access}
    sections["'remote \"store\"'"] = {"url": f"s3://{settings.dvc_bucket}", **access}
    text = StringIO()
    sections.write(text)
    return text.getvalue()


def environment(settings: Settings, store: ObjectStore) -> dict[str, str]:
    """The environment of DVC and the pipeline's stages."""
    return {
        # DVC runs the stages with the first `python` on PATH.
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "DVC_GLOBAL_CONFIG_DIR": str(configuration_folder(settings)),
        **credentials_environment(credentials_file(settings)),
        "PIPELINE_STORE_URL": store.endpoint,
        "PIPELINE_STORE_REGION": store.region,
        "PIPELINE_LAKE_BUCKET": settings.lake_bucket,
        "PIPELINE_MLFLOW_URL": _mlflow_url(settings),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # Sums of floats depend on the number of threads; a service checks a model against recorded answers, in one thread.
        "OPENBLAS_NUM_THREADS": "1",
    }


def secret_environment(secrets: Mapping[str, str]) -> dict[str, str]:
    """What the pipeline needs besides `environment` to register models: its account in MLflow, and its key.

    secrets: of the stack
    """
    return {
        "MLFLOW_TRACKING_USERNAME": "training",
        "MLFLOW_TRACKING_PASSWORD": secrets[model_secrets.password("training")],
        model_secrets.SIGNING_KEY: secrets[model_secrets.SIGNING_KEY],
    }


def sign_versions_once(settings: Settings, secrets: Mapping[str, str]) -> None:
    """Signs the versions that a release without signatures has left. Later ones that are not signed are somebody else's.

    secrets: of the stack

    Raises `RuntimeError` if MLflow fails.
    """
    done = configuration_folder(settings) / "versions-signed"
    if done.exists():
        return
    variables = secret_environment(secrets) | {"PIPELINE_MLFLOW_URL": _mlflow_url(settings)}
    # MLflow's client takes seconds to import, which a new installation does without.
    if _has_versions(settings, variables["MLFLOW_TRACKING_PASSWORD"]):
        command = [sys.executable, "-m", "ml.pipeline.sign"]
        process = subprocess.run(command, check=False, cwd=ROOT, env=os.environ | variables, capture_output=True, text=True)
        if process.returncode:
            raise RuntimeError(process.stderr.strip())
    done.parent.mkdir(parents=True, exist_ok=True)
    done.touch()


def configuration_folder(settings: Settings) -> Path:
    """The folder of DVC's configuration."""
    return settings.stack_folder / "dvc"


def credentials_file(settings: Settings) -> Path:
    return configuration_folder(settings) / "s3.credentials"


def _has_versions(settings: Settings, password: str) -> bool:
    """Whether MLflow has a version of any model. Raises `RuntimeError` if it fails."""
    proof = b64encode(f"training:{password}".encode()).decode()
    url = f"{_mlflow_url(settings)}/api/2.0/mlflow/model-versions/search?max_results=1"
    try:
        request = Request(url, headers={"Authorization": f"Basic {proof}"})  # noqa: S310 an address of the stack
        with urlopen(request, timeout=_MLFLOW_SECONDS) as response:  # noqa: S310
            return "model_versions" in json.load(response)
    except (OSError, HTTPException, ValueError) as error:
        raise RuntimeError(f"MLflow cannot be asked for its versions: {error}") from error


def _mlflow_url(settings: Settings) -> str:
    return f"http://127.0.0.1:{settings.mlflow_port}"
