"""Files that others read while they are written."""

from pathlib import Path
from tempfile import NamedTemporaryFile


def replace(file: Path, text: str) -> None:
    """Writes a file that is its owner's alone; whoever reads it meanwhile has the old one or the new one, whole."""
    with NamedTemporaryFile("w", dir=file.parent, prefix=f".{file.name}.", delete=False) as fresh:
        fresh.write(text)
    Path(fresh.name).replace(file)
