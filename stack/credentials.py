"""The local stack's secrets: random, generated once, in a file that only its owner can read."""

import secrets
from collections.abc import Iterable
from pathlib import Path

from dotenv import dotenv_values

from stack import files


def load_or_create(file: Path, names: Iterable[str], **defaults: str) -> dict[str, str]:
    """Reads secrets from a file, adding those that are missing.

    names: of the secrets; missing ones are generated
    defaults: other values in the same file, by name, for those that are missing
    """
    known = {name: value for name, value in dotenv_values(file, interpolate=False).items() if value} if file.exists() else {}
    missing = {name: secrets.token_urlsafe(32) for name in names if name not in known}
    missing |= {name: value for name, value in defaults.items() if name not in known}
    if missing:
        known |= missing
        files.replace(file, "".join(f"{name}={value}\n" for name, value in known.items()))
    return known
