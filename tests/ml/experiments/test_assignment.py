"""Assignments are pure, stay, have the shares that were asked for, and do not depend on other experiments."""

from collections import Counter

import numpy as np
from scipy.stats import chi2_contingency, chisquare

from ml.experiments.assignment import Arm, assign

SUBJECTS = [f"subject-{number}" for number in range(100_000)]
ARMS = (None, Arm.CONTROL, Arm.TREATMENT)
# An error of one in ten thousand, if the hash is good; the subjects are always the same.
SIGNIFICANCE = 1e-4


def arms(experiment_id: str, traffic_share: float = 1, treatment_share: float = 0.5) -> list[Arm | None]:
    return [assign(experiment_id, subject, traffic_share, treatment_share) for subject in SUBJECTS]


def test_an_assignment_stays_what_it_was() -> None:
    """Noted once: after a restart, in another replica and in the next release they are the same."""
    assert [assign("home", f"subject-{number}", 0.5, 0.5) for number in range(6)] == [
        None,
        Arm.CONTROL,
        None,
        Arm.CONTROL,
        Arm.TREATMENT,
        Arm.CONTROL,
    ]


def test_shares_are_those_that_were_asked_for() -> None:
    counts = Counter(arms("home", 0.4, 0.25))
    expected = np.array([0.6, 0.3, 0.1]) * len(SUBJECTS)
    assert chisquare([counts[arm] for arm in ARMS], expected).pvalue > SIGNIFICANCE


def test_experiments_are_independent_of_each_other() -> None:
    first, second = arms("home", 0.7), arms("home-2", 0.7, 0.3)
    together = Counter(zip(first, second, strict=True))
    table = [[together[one, other] for other in ARMS] for one in ARMS]
    assert chi2_contingency(table).pvalue > SIGNIFICANCE


def test_a_ramp_keeps_who_takes_part_in_the_same_arm() -> None:
    before, after = arms("home", 0.1), arms("home", 0.6)
    kept = [(early, late) for early, late in zip(before, after, strict=True) if early is not None]
    assert kept
    assert all(early is late for early, late in kept)
