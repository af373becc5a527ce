"""Hashes passwords with Argon2id, a limited number at a time."""

import asyncio
import os
import unicodedata
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from secrets import token_urlsafe

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from mesh.errors import ResourceExhausted

# The one of OWASP's equivalent parameter sets that leaves memory for several hashes at a time: 12 MiB, three passes, one lane.
_HASHER = PasswordHasher(time_cost=3, memory_cost=12 * 1024, parallelism=1)
_MAX_THREADS = 4
# A hash takes some 25 ms of a core, so that a caller who gets a slot has a response within about a second.
_SLOTS_PER_THREAD = 32
# One of so many parts of the slots is the most for one account, so that nobody fills all of them.
_SHARE = 8
_RETRY_SECONDS = 1


class Passwords:
    """Hashes and verifies passwords on a few threads of its own, so that other calls do not wait for them."""

    def __init__(self) -> None:
        threads = min(os.cpu_count() or 1, _MAX_THREADS)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="passwords")
        self._free_slots = threads * _SLOTS_PER_THREAD
        self._max_held = self._free_slots // _SHARE
        self._held_slots: Counter[str] = Counter()
        self._dummy_hash = _HASHER.hash(token_urlsafe())

    @contextmanager
    def slot(self, *holders: str) -> Iterator[None]:
        """A slot for hashing within a `with` block. Raises `ResourceExhausted` if too many wait already: a late response helps nobody.

        holders: for whom it is; one of them holds at most an eighth of all slots
        """
        if not self._free_slots or any(self._held_slots[holder] >= self._max_held for holder in holders):
            raise ResourceExhausted(
                "SIGN_IN_BUSY", "too many passwords are being checked; try again in a moment", retry_after_seconds=_RETRY_SECONDS
            )
        self._free_slots -= 1
        self._held_slots.update(holders)
        try:
            yield
        finally:
            self._free_slots += 1
            self._held_slots -= Counter(holders)

    async def hash(self, password: str) -> str:
        """The hash to store."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, _HASHER.hash, _normalize(password))

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether the password has this hash. Without a hash the result is False, after the same time."""
        matches = await asyncio.get_running_loop().run_in_executor(
            self._threads, _matches, password_hash or self._dummy_hash, _normalize(password)
        )
        return matches and password_hash is not None


def needs_rehash(password_hash: str) -> bool:
    """Whether the hash was made with other parameters than the current ones."""
    return _HASHER.check_needs_rehash(password_hash)


def _matches(password_hash: str, password: str) -> bool:
    try:
        return _HASHER.verify(password_hash, password)
    except VerifyMismatchError:
        return False


def _normalize(password: str) -> str:
    # One keyboard types an accented letter as one character, another as two. NFC makes them one, as RFC 8265 requires; unlike NFKC,
    # it keeps apart all that looks different.
    return unicodedata.normalize("NFC", password)
