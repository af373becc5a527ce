"""Atomic replacement of files."""

from pathlib import Path
from tempfile import NamedTemporaryFile


def replace(file: Path, text: str, mode: int = 0o600) -> None:
    """Replaces a file atomically by one that, unless `mode` says otherwise, only its owner can read."""
    with NamedTemporaryFile("w", dir=file.parent, prefix=f".{file.name}.", delete=False) as fresh:
        fresh.write(text)
    Path(fresh.name).chmod(mode)
    Path(fresh.name).replace(file)
