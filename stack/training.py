"""Training: what its pipeline and DVC are told of the stack."""

import os
import sys
from configparser import ConfigParser
from io import StringIO
from pathlib import Path

from stack import files
from stack.engines.object_store import ObjectStore, told_key
from stack.settings import Settings


def configure(settings: Settings, store: ObjectStore) -> None:
    """Writes DVC's configuration, and the key that it names."""
    folder = configuration(settings)
    folder.mkdir(parents=True, exist_ok=True)
    store.write_credentials("training", credentials_file(settings))
    files.replace(folder / "config", dvc_config(settings, store.endpoint, credentials_file(settings), folder))


def dvc_config(settings: Settings, endpoint: str, credentials: Path, folder: Path) -> str:
    """DVC's configuration: its remotes in the store at this endpoint, and its cache in a folder."""
    reached = {"endpointurl": endpoint, "region": settings.s3_region, "credentialpath": str(credentials)}
    sections = ConfigParser(interpolation=None)
    sections["core"] = {"site_cache_dir": str(folder / "site")}
    # One for all checkouts and jobs on this machine.
    sections["cache"] = {"dir": str(folder / "cache")}
    sections["'remote \"lake\"'"] = {"url": f"s3://{settings.lake_bucket}", **reached}
    sections["'remote \"store\"'"] = {"url": f"s3://{settings.dvc_bucket}", **reached}
    text = StringIO()
    sections.write(text)
    return text.getvalue()


def environment(settings: Settings, store: ObjectStore) -> dict[str, str]:
    """What the pipeline's stages, and DVC, find in their environment."""
    return {
        # The stages are run by the Python that is found first.
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "DVC_GLOBAL_CONFIG_DIR": str(configuration(settings)),
        **told_key(credentials_file(settings)),
        "PIPELINE_STORE_URL": store.endpoint,
        "PIPELINE_STORE_REGION": store.region,
        "PIPELINE_LAKE_BUCKET": settings.lake_bucket,
        "PIPELINE_MLFLOW_URL": f"http://127.0.0.1:{settings.mlflow_port}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # A model is checked against its answers where it serves, on one core.
        "OPENBLAS_NUM_THREADS": "1",
    }


def configuration(settings: Settings) -> Path:
    """The folder of DVC's configuration for this machine."""
    return settings.stack_folder / "dvc"


def credentials_file(settings: Settings) -> Path:
    return configuration(settings) / "s3.credentials"
