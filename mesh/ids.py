"""Generates the ids of resources."""

import secrets
import time
from base64 import b32hexencode

# UUIDv7 sorts by time as well, but the standard library has it from Python 3.14 on, no library that we install generates it, and its
# 36 characters are more than a person copies by hand. The alphabet sorts as text, and has no capitals, which YARN's tags do not allow.
_TIME_BYTES = 6
_RANDOM_BYTES = 4


def new_id() -> str:
    """A unique id of 16 characters (0-9, a-v), which sorts after those of earlier milliseconds.

    It holds 48 bits of Unix time in milliseconds, then 32 random bits.
    """
    milliseconds = time.time_ns() // 1_000_000
    return b32hexencode(milliseconds.to_bytes(_TIME_BYTES) + secrets.token_bytes(_RANDOM_BYTES)).decode().lower()
