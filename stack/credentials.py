"""The local stack's secrets: random, made once, in a file that only its owner may read."""

import secrets
from collections.abc import Iterable
from pathlib import Path

from dotenv import dotenv_values

from stack import files


def kept(file: Path, names: Iterable[str], **others: str) -> dict[str, str]:
    """The secrets of these names, and what else is to stand beside them; what the file does not know yet is made and written to it."""
    known = {name: value for name, value in dotenv_values(file, interpolate=False).items() if value} if file.exists() else {}
    missing = {name: secrets.token_urlsafe(32) for name in names if name not in known}
    missing |= {name: value for name, value in others.items() if name not in known}
    if missing:
        known |= missing
        files.replace(file, "".join(f"{name}={value}\n" for name, value in known.items()))
    return known
