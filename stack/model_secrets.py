"""The secrets that guard models: the accounts of MLflow, and the key that signs versions. Imports only the standard library."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import cache
from hashlib import sha512

# Those who sign in to MLflow: people, the pipeline, and the services that serve models.
ACCOUNTS = ("operator", "training", "recommender", "forecaster")
SIGNING_KEY = "PIPELINE_SIGNING_KEY"

# Ed25519 (RFC 8032): the prime of its field, the constant of its curve, and its base point.
_PRIME = 2**255 - 19
_D = -121665 * pow(121666, -1, _PRIME) % _PRIME
_BASE = (15112221349535400772501151409588531511454012693041857206046113283949847762202, 4 * pow(5, -1, _PRIME) % _PRIME)

_Point = tuple[int, int]


def password(account: str) -> str:
    """The name of the secret that is the password of an account of MLflow."""
    return f"MLFLOW_{account.upper()}_PASSWORD"


@cache
def public_key(private_key: str) -> str:
    """The public key that verifies what a private one signs (Ed25519), both as base64url without padding.

    `cryptography` is not there yet when the containers' secrets are written.
    """
    seed = urlsafe_b64decode(private_key + "=")
    scalar = int.from_bytes(sha512(seed).digest()[:32], "little") & ~7 & (2**254 - 1) | 2**254
    x, y = _multiply(_BASE, scalar)
    return urlsafe_b64encode((y | (x & 1) << 255).to_bytes(32, "little")).decode().rstrip("=")


def _multiply(point: _Point, scalar: int) -> _Point:
    product = (0, 1)
    while scalar:
        if scalar & 1:
            product = _add(product, point)
        point, scalar = _add(point, point), scalar >> 1
    return product


def _add(one: _Point, other: _Point) -> _Point:
    (x, y), (u, v) = one, other
    cross = _D * x * y * u * v % _PRIME
    return (
        (x * v + u * y) * pow(1 + cross, -1, _PRIME) % _PRIME,
        (y * v + x * u) * pow(1 - cross, -1, _PRIME) % _PRIME,
    )
