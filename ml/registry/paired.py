"""A paired comparison of two recipes: by the scores of the same users or series, of whom each is drawn with its pair."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np

DRAWS, SEED = 2_000, 1
# One-sided: a recipe that is as good fails this often.
LEVEL = 0.05
# Fewer pairs say too little.
MIN_PAIRS = 20


class PairedDifference(NamedTuple):
    """How much better a challenger is than the champion, in the unit of the score; negative if it is worse."""

    mean: float
    upper: float
    """The end of the one-sided interval: below zero, the challenger is worse."""
    pairs: int


def paired_difference(
    challenger: Mapping[str, float], champion: Mapping[str, float], better: Literal["higher", "lower"]
) -> PairedDifference | None:
    """Compares the scores by id by a bootstrap; None if too few ids are in both."""
    shared = sorted(challenger.keys() & champion.keys())
    if len(shared) < MIN_PAIRS:
        return None
    gain = np.array([challenger[id] - champion[id] for id in shared]) * (1 if better == "higher" else -1)
    draws = np.random.default_rng(SEED).integers(len(gain), size=(DRAWS, len(gain)))
    return PairedDifference(float(gain.mean()), float(np.quantile(gain[draws].mean(axis=1), 1 - LEVEL)), len(gain))
