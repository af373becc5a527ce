"""Intervals that are looked at every day hold what they promise, on simulated experiments whose truth is known."""

import numpy as np

from ml.experiments.confidence_sequence import ALPHA, MIN_SUBJECTS, Interval, Moments, difference, lift, moments

EXPERIMENTS, DAYS, SUBJECTS_A_DAY = 1000, 70, 60


def daily_moments(random: np.random.Generator, conversion: float, basket: float) -> tuple[Moments, float]:
    """What is known each day of arms whose subjects mostly buy nothing, and now and then much; and the true mean.

    Shape (experiments, days).
    """
    shape, spread = (EXPERIMENTS, DAYS, SUBJECTS_A_DAY), 1.0
    revenue = (random.random(shape, np.float32) < conversion) * basket * np.exp(spread * random.standard_normal(shape, np.float32))
    sums, squares = (np.cumsum(values.sum(2, dtype=np.float64), axis=1) for values in (revenue, revenue**2))
    counts = np.broadcast_to(np.arange(1, DAYS + 1) * SUBJECTS_A_DAY, sums.shape)
    return moments(counts, sums, squares), conversion * basket * float(np.exp(spread**2 / 2))


def misses(interval: Interval, truth: float) -> float:
    """The share of experiments whose interval does not contain the truth on at least one day."""
    return float(((interval.lower > truth) | (interval.upper < truth)).any(1).mean())


def test_of_a_thousand_experiments_without_a_difference_at_most_five_percent_find_one_on_any_day() -> None:
    random = np.random.default_rng(1)
    control, treatment = (daily_moments(random, 0.1, 2000)[0] for _ in range(2))
    assert misses(difference(control, treatment), 0) <= ALPHA
    assert misses(lift(control, treatment), 0) <= ALPHA


def test_the_intervals_contain_the_true_difference_and_lift_on_all_days_in_95_percent_of_experiments() -> None:
    random = np.random.default_rng(2)
    control, control_mean = daily_moments(random, 0.1, 2000)
    treatment, treatment_mean = daily_moments(random, 0.12, 2500)
    found, relative = difference(control, treatment), lift(control, treatment)
    assert misses(found, treatment_mean - control_mean) <= ALPHA
    assert misses(relative, treatment_mean / control_mean - 1) <= ALPHA
    # They are not only wide: a lift of one half is mostly found within the ten weeks.
    assert (found.lower[:, -1] > 0).mean() > 0.7
    assert np.median(relative.upper[:, -1] - relative.lower[:, -1]) < 1


def test_a_test_for_a_single_look_would_not_do() -> None:
    """The experiments are such that a usual interval of 95 % raises false alarms when it is looked at daily."""
    random = np.random.default_rng(1)
    control, treatment = (daily_moments(random, 0.1, 2000)[0] for _ in range(2))
    error = np.sqrt(control.variance / control.subjects + treatment.variance / treatment.subjects)
    assert (np.abs(treatment.mean - control.mean) > 1.96 * error).any(1).mean() > 3 * ALPHA


def test_without_enough_subjects_or_any_purchase_nothing_is_known() -> None:
    few, nothing = moments(MIN_SUBJECTS - 1, 50, 100), moments(1000, 0, 0)
    for arm in (few, nothing):
        for compare in (difference, lift):
            interval = compare(arm, arm)
            assert (float(interval.lower), float(interval.upper)) == (-np.inf, np.inf)


def test_the_lift_is_unknown_while_the_mean_of_the_control_may_be_zero() -> None:
    control, treatment = moments(200, 1, 1), moments(200, 100, 100)
    assert np.isfinite(difference(control, treatment).lower)
    assert np.isinf(lift(control, treatment).upper)
