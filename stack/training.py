"""Configuration of DVC and the training pipeline for the stack."""

import os
import sys
from configparser import ConfigParser
from io import StringIO
from pathlib import Path

from stack import files
from stack.engines.object_store import ObjectStore, credentials_environment
from stack.settings import Settings


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
        "PIPELINE_MLFLOW_URL": f"http://127.0.0.1:{settings.mlflow_port}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # Sums of floats depend on the number of threads; a service checks a model against recorded answers, in one thread.
        "OPENBLAS_NUM_THREADS": "1",
    }


def configuration_folder(settings: Settings) -> Path:
    """The folder of DVC's configuration."""
    return settings.stack_folder / "dvc"


def credentials_file(settings: Settings) -> Path:
    return configuration_folder(settings) / "s3.credentials"
