"""Passwords that are guessed first."""

from functools import cache
from pathlib import Path

from mesh.errors import InvalidArgument

_FILE = Path(__file__).with_name("common_passwords.txt")


def check_password(password: str, email: str) -> None:
    """Raises `InvalidArgument` if a new password is one of the most common ones, or made of the e-mail address."""
    folded = password.casefold()
    if folded in _common_passwords() or folded in (email.casefold(), email.casefold().partition("@")[0]):
        raise InvalidArgument("the password is too common; choose another one", field="password", reason="PASSWORD_TOO_COMMON")


@cache
def _common_passwords() -> frozenset[str]:
    return frozenset(line for line in _FILE.read_text().splitlines() if not line.startswith("# ") and line != "#")
