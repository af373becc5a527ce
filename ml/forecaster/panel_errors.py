"""The error for a file that no panel can be read from."""

from pathlib import Path

from ml.forecaster.arrays import Booleans


class InvalidPanel(ValueError):
    """A file that no panel can be read from. The text is a sentence with the file and, where possible, column and row, from 1."""


def check_rows(path: Path, name: str, invalid: Booleans, problem: str) -> None:
    """Raises `InvalidPanel` for the first invalid row of a column."""
    if invalid.any():
        raise InvalidPanel(f"{path}, column {name}, row {int(invalid.argmax()) + 1} {problem}.")
