"""Tells DVC of the stack, then becomes a command of the pipeline's: `python -m compose.containers.training dvc repro`."""

import os
import shutil
import sys
from pathlib import Path

from compose.containers.store import Store
from compose.local import training
from compose.local.settings import Settings
from mesh.settings import EnvironmentSettings, read
from ml import pipeline
from ml.parameters import Recipe

PIPELINE = Path("/opt/pipeline")
CREDENTIALS = Path("/run/secrets/training.credentials")


class Choice(EnvironmentSettings, env_prefix="TRAINING_"):
    """Read from the environment as `TRAINING_...`."""

    recipe: Recipe = "full"


def configure(settings: Settings) -> None:
    """Writes DVC's configuration to where the environment says it is, its cache beside it."""
    folder = Path(os.environ["DVC_GLOBAL_CONFIG_DIR"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config").write_text(training.dvc_config(settings, read(Store).url, CREDENTIALS, folder))


if __name__ == "__main__":
    configure(read(Settings))
    # The folder is a volume: the pipeline in it is to be this image's, and what it has come to stays.
    shutil.rmtree("ml", ignore_errors=True)
    pipeline.copy(PIPELINE, Path.cwd(), read(Choice).recipe)
    os.execvp(sys.argv[1], sys.argv[1:])
