"""The local stack's secrets: random, made once, in a file that only its owner may read."""

import secrets
from collections.abc import Iterable
from pathlib import Path

from dotenv import dotenv_values

from compose.local import files


def kept(file: Path, names: Iterable[str]) -> dict[str, str]:
    """The secrets of these names; those the file does not know yet are made and written to it."""
    known = {name: value for name, value in dotenv_values(file, interpolate=False).items() if value} if file.exists() else {}
    missing = [name for name in names if name not in known]
    if missing:
        known |= {name: secrets.token_urlsafe(32) for name in missing}
        files.replace(file, "".join(f"{name}={value}\n" for name, value in known.items()))
    return known
