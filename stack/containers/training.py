"""Writes DVC's configuration, then becomes a command of the pipeline: `python -m stack.containers.training dvc repro`."""

import os
import shutil
import sys
from pathlib import Path

from pydantic import SecretStr

from mesh.settings import EnvironmentSettings, read
from ml.pipeline.checkout import copy_pipeline
from ml.pipeline.parameters import RecipeName
from stack import training
from stack.containers.store import StoreSettings
from stack.settings import Settings

PIPELINE = Path("/opt/pipeline")
CREDENTIALS = Path("/run/secrets/training.credentials")


class TrainingSettings(EnvironmentSettings, env_prefix="TRAINING_"):
    """Read from the environment as `TRAINING_...`."""

    recipe: RecipeName = "full"


class PipelineSecrets(EnvironmentSettings):
    """The secrets of the pipeline, which reads them from the environment."""

    mlflow_tracking_password: SecretStr | None = None
    pipeline_signing_key: SecretStr


def configure(settings: Settings) -> None:
    """Writes DVC's configuration to the folder DVC_GLOBAL_CONFIG_DIR, which also has its cache."""
    folder = Path(os.environ["DVC_GLOBAL_CONFIG_DIR"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config").write_text(training.dvc_config(settings, read(StoreSettings).url, CREDENTIALS, folder))


if __name__ == "__main__":
    configure(read(Settings))
    # The working directory is a volume: its code is replaced by that of this image, its outputs stay.
    for part in ("lake", "ml"):
        shutil.rmtree(part, ignore_errors=True)
    copy_pipeline(PIPELINE, Path.cwd(), read(TrainingSettings).recipe)
    secrets = {name.upper(): secret.get_secret_value() for name, secret in read(PipelineSecrets) if secret}
    os.environ.update(secrets)
    os.execvp(sys.argv[1], sys.argv[1:])
