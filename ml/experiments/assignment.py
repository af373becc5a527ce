"""Assigns subjects to the arms of an experiment."""

from enum import StrEnum
from hashlib import blake2b

_BYTES = 8


class Arm(StrEnum):
    """An arm of an experiment."""

    CONTROL = "control"
    TREATMENT = "treatment"


def assign(experiment_id: str, subject: str, traffic_share: float, treatment_share: float) -> Arm | None:
    """The arm of a subject, or None for one who takes no part. A pure function, independent between experiments.

    A subject who takes part does so at a larger `traffic_share` too, and in the same arm.

    experiment_id: up to 64 characters of ASCII, the key of the hash
    """
    digest = blake2b(subject.encode(), key=experiment_id.encode(), digest_size=2 * _BYTES).digest()
    if _share(digest[:_BYTES]) >= traffic_share:
        return None
    return Arm.TREATMENT if _share(digest[_BYTES:]) < treatment_share else Arm.CONTROL


def _share(digits: bytes) -> float:
    """A number from 0 to 1, each as likely as any other."""
    return int.from_bytes(digits) / (1 << 8 * len(digits))
