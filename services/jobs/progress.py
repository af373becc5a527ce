"""Reads the progress of the training pipeline, which its stages append to a file as JSON lines."""

from pathlib import Path

from pydantic import BaseModel

# The environment variable that tells the pipeline where the file is.
VARIABLE = "PIPELINE_PROGRESS"


class StageMessage(BaseModel, frozen=True):
    """One line of the file."""

    stage: str
    """The name of the stage in `dvc.yaml`, such as `train_recommender`."""
    message: str


class ProgressFile:
    """The file, read as it grows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0

    def take_messages(self) -> list[StageMessage]:
        """The messages that were appended since the last call."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                written = file.read()
        except FileNotFoundError:
            return []
        # An incomplete last line is left for the next call.
        complete = written[: written.rfind(b"\n") + 1]
        self._offset += len(complete)
        return [StageMessage.model_validate_json(line) for line in complete.splitlines()]
