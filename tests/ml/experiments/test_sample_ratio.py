"""A split that is not what was asked for is found, and one that is raises no alarm."""

import numpy as np
import pytest

from ml.experiments.sample_ratio import sample_ratio_p_value

EXPERIMENTS, DAYS, SUBJECTS_A_DAY = 1000, 70, 200


def daily_p_values(true_share: float, share: float) -> np.ndarray:
    """The p-values of each day, shape (experiments, days)."""
    treated = np.cumsum(np.random.default_rng(1).binomial(SUBJECTS_A_DAY, true_share, (EXPERIMENTS, DAYS)), axis=1)
    return sample_ratio_p_value(np.arange(1, DAYS + 1) * SUBJECTS_A_DAY - treated, treated, share)


@pytest.mark.parametrize("share", [0.5, 0.1])
def test_a_split_as_asked_for_raises_an_alarm_on_any_day_in_one_of_a_hundred_experiments_at_most(share: float) -> None:
    assert (daily_p_values(share, share) < 0.01).any(1).mean() <= 0.01


def test_a_broken_split_is_found() -> None:
    """47 instead of 50 %: one shopper of nine in the treatment was lost."""
    assert (daily_p_values(0.47, 0.5) < 0.01).any(1).mean() > 0.99


def test_without_subjects_there_is_no_alarm() -> None:
    assert sample_ratio_p_value(0, 0, 0.5) == 1
