"""Progress of the pipeline: each stage appends JSON lines to the file that `PIPELINE_PROGRESS` names."""

import sys
from collections.abc import Callable

from pydantic import BaseModel

from ml.pipeline.settings import Settings

Report = Callable[[str], None]


class Progress(BaseModel, frozen=True):
    """One line of the file: `{"stage": "train_recommender", "message": "fitting on all history"}`."""

    stage: str
    """As `dvc.yaml` names it."""
    message: str


def reporter(stage: str, settings: Settings) -> Report:
    """Returns a function that prints a message to standard error and appends it to the progress file, if there is one."""

    def report(message: str) -> None:
        print(f"{stage}: {message}", file=sys.stderr, flush=True)
        if settings.progress:
            # Opened for each line, so that stages that run at the same time each append whole lines.
            with settings.progress.open("a") as file:
                file.write(Progress(stage=stage, message=message).model_dump_json() + "\n")

    return report
