"""Passwords: hashed by Argon2id, only so many at a time."""

import asyncio
import os
import unicodedata
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from secrets import token_urlsafe

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from mesh.errors import ResourceExhausted

# Of the sets of parameters that OWASP holds for equal, one that leaves memory for several at a time: 12 MiB, three passes, one lane.
_hasher = PasswordHasher(time_cost=3, memory_cost=12 * 1024, parallelism=1)
_MAX_THREADS = 4
# A hash takes some 25 ms of a core, so whoever gets a turn has its answer in about a second.
_TURNS_PER_THREAD = 32


class Passwords:
    """Hashes and verifies on threads of its own, one for each of a few cores, so that nothing else waits for a password."""

    def __init__(self) -> None:
        threads = min(os.cpu_count() or 1, _MAX_THREADS)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="passwords")
        self._free_turns = threads * _TURNS_PER_THREAD
        self._nobodys_hash = _hasher.hash(token_urlsafe())

    @contextmanager
    def turn(self) -> Iterator[None]:
        """The right to hash within a `with` block. Refused when too many wait already: a late answer would help nobody."""
        if not self._free_turns:
            raise ResourceExhausted("SIGN_IN_BUSY", "too many passwords are being checked; try again in a moment", retry_after_seconds=1)
        self._free_turns -= 1
        try:
            yield
        finally:
            self._free_turns += 1

    async def hash(self, password: str) -> str:
        """What to keep of a password."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, _hasher.hash, _normalised(password))

    async def verify(self, kept: str | None, password: str) -> bool:
        """Whether this is the password whose hash was kept. If none was, it is not, which takes as long to find out."""
        matches = await asyncio.get_running_loop().run_in_executor(
            self._threads, _matches, kept or self._nobodys_hash, _normalised(password)
        )
        return matches and kept is not None


def is_outdated(kept: str) -> bool:
    """Whether a password was hashed with other parameters than today's."""
    return _hasher.check_needs_rehash(kept)


def _matches(kept: str, password: str) -> bool:
    try:
        return _hasher.verify(kept, password)
    except VerifyMismatchError:
        return False


def _normalised(password: str) -> str:
    # One keyboard types an accented letter as one character, another as two. NFC makes them one, as RFC 8265 asks; unlike NFKC
    # it keeps apart all that looks different.
    return unicodedata.normalize("NFC", password)
