"""Tells DVC of the stack, then becomes a command of the pipeline's: `python -m stack.containers.training dvc repro`."""

import os
import shutil
import sys
from pathlib import Path

from mesh.settings import EnvironmentSettings, read
from ml.pipeline.checkout import copy_pipeline
from ml.pipeline.parameters import RecipeName
from stack import training
from stack.containers.store import Store
from stack.settings import Settings

PIPELINE = Path("/opt/pipeline")
CREDENTIALS = Path("/run/secrets/training.credentials")


class Choice(EnvironmentSettings, env_prefix="TRAINING_"):
    """Read from the environment as `TRAINING_...`."""

    recipe: RecipeName = "full"


def configure(settings: Settings) -> None:
    """Writes DVC's configuration to where the environment says it is, its cache beside it."""
    folder = Path(os.environ["DVC_GLOBAL_CONFIG_DIR"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config").write_text(training.dvc_config(settings, read(Store).url, CREDENTIALS, folder))


if __name__ == "__main__":
    configure(read(Settings))
    # The folder is a volume: its code is replaced by this image's, its outputs stay.
    for part in ("lake", "ml"):
        shutil.rmtree(part, ignore_errors=True)
    copy_pipeline(PIPELINE, Path.cwd(), read(Choice).recipe)
    os.execvp(sys.argv[1], sys.argv[1:])
