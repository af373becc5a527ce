"""Scores of small arrays, computed by hand."""

import numpy as np
import pytest
from scipy import stats

from ml.forecaster import metrics

WEEKS = np.array([[0.0, 2.0, 1.0, 4.0]])


def test_mase_is_relative_to_the_seasonal_naive_error_in_sample() -> None:
    scale = metrics.seasonal_scale(WEEKS, season=2)
    assert scale.tolist() == [1.5]
    assert metrics.mase(np.array([[5.0, 5.0]]), np.array([[5.0, 2.0]]), scale) == 1.0


def test_unknown_values_and_scales_are_left_out() -> None:
    scale = np.array([1.0, np.nan])
    actual = np.array([[1.0, np.nan], [7.0, 7.0]])
    assert metrics.mase(actual, np.zeros((2, 2)), scale) == 1.0


def test_a_series_that_never_changes_has_no_scale() -> None:
    assert np.isnan(metrics.seasonal_scale(np.ones((1, 10)), season=2)).all()
    assert np.isnan(metrics.squared_scale(np.ones((1, 10)))).all()


def test_the_quantile_loss_of_a_point_is_its_absolute_error() -> None:
    actual, point = np.array([[3.0]]), np.full((1, 1, 9), 5.0)
    assert metrics.scaled_quantile_loss(actual, point, np.array([1.0])) == pytest.approx(2.0)


def test_rmsse_is_relative_to_the_first_differences_in_sample() -> None:
    assert metrics.rmsse(np.array([[2.0]]), np.array([[8.0]]), metrics.squared_scale(WEEKS)) == pytest.approx(6 / np.sqrt(14 / 3))


def test_coverage_counts_open_steps_and_includes_the_ends() -> None:
    actual, lower, upper = np.array([[1.0, 2.0, 9.0, 0.0]]), np.ones((1, 4)), np.full((1, 4), 2.0)
    assert metrics.coverage(actual, lower, upper, np.array([[True, True, True, False]])) == pytest.approx(2 / 3)


def test_days_before_a_first_sale_do_not_make_errors_small() -> None:
    """A product that begins late: zeros before its first sale would be differences of nothing, and its scale too small."""
    begun = np.array([[3.0, 5.0, 4.0, 8.0, 5.0, 9.0]])
    late = np.concatenate([np.full((1, 200), np.nan), begun], axis=1)
    assert metrics.seasonal_scale(late, season=2) == metrics.seasonal_scale(begun, season=2)
    assert metrics.squared_scale(late) == metrics.squared_scale(begun)


def test_an_interval_that_ends_at_zero_covers_a_day_without_a_sale() -> None:
    zeros = np.zeros((1, 4))
    actual = np.array([[0.0, 0.0, 0.0, 1.0]])
    assert metrics.coverage(actual, zeros, zeros, np.ones((1, 4), dtype=bool)) == 0.75


@pytest.mark.parametrize("size", [None, 0.4], ids=["poisson", "negative binomial"])
def test_exact_quantiles_of_counts_have_their_level_as_the_share_of_days_below(size: float | None) -> None:
    random = np.random.default_rng(3)
    # Most products sell less than once in two days, so more than half of all days tie with several quantiles at zero.
    rate = np.exp(random.normal(-1.0, 1.5, 500))[:, None]
    days = stats.poisson(rate) if size is None else stats.nbinom(size, size / (size + rate))
    actual = days.rvs((500, 60), random_state=random).astype(float)
    quantiles = np.repeat(days.ppf(np.array(metrics.SCORED_LEVELS))[:, None], 60, axis=1)
    is_open = np.ones(actual.shape, dtype=bool)
    found = metrics.shares_below(actual, quantiles, is_open)
    assert found == pytest.approx(metrics.ONE_SIDED, abs=0.025)
    assert metrics.coverage(actual, quantiles[:, :, 1], quantiles[:, :, -2], is_open) > 0.9
    narrow = quantiles * np.where(np.array(metrics.SCORED_LEVELS) == 0.9, 0.6, 1.0)
    assert metrics.shares_below(actual, narrow, is_open)["below90"] < found["below90"] - 0.03


def test_nothing_is_below_a_quantile_without_an_open_day() -> None:
    assert np.isnan(list(metrics.shares_below(np.zeros((1, 1)), np.zeros((1, 1, 11)), np.zeros((1, 1), dtype=bool)).values())).all()
