"""Forecasts that are kept, and their scores."""

from datetime import date, timedelta

import numpy as np
import pytest

from ml.forecaster.forecasts import Scope, ScopeKind
from ml.forecaster.served import SERVED_DAYS, ServedForecast

THROUGH = date(2011, 2, 26)
SCOPES = (Scope(), Scope("category", "Drinks"), Scope("country", "France"), Scope("product", "tea"), Scope("product", "coffee"))
MEANS = (10.0, 10.0, 10.0, 6.0, 4.0)


@pytest.fixture
def forecast() -> ServedForecast:
    """The same every day, with bands of 20 and 40 percent around the mean; closed on the third day."""
    mean = np.repeat(np.array(MEANS, np.float32)[:, None], SERVED_DAYS, axis=1)
    mean[:, 2] = 0
    shares = {"lower_95": 0.6, "upper_95": 1.4, "lower_80": 0.8, "upper_80": 1.2, "median": 1.0}
    errors: dict[ScopeKind, float] = {"shop": 0.1, "category": 0.1, "country": 0.1, "product": 0.2}
    return ServedForecast(THROUGH, SCOPES, mean, {name: (mean * share).astype(np.float32) for name, share in shares.items()}, errors)


def test_a_file_has_the_forecast(forecast: ServedForecast) -> None:
    read = ServedForecast.from_parquet(forecast.to_parquet())
    assert (read.through, read.scopes, read.backtest_errors) == (THROUGH, SCOPES, forecast.backtest_errors)
    np.testing.assert_array_equal(read.mean, forecast.mean)
    for name, values in forecast.quantiles.items():
        np.testing.assert_array_equal(read.quantiles[name], values)


def test_a_score_sums_over_the_series_of_a_level(forecast: ServedForecast) -> None:
    actual = np.array([[12.0], [12.0], [12.0], [8.0], [4.0]])
    scores, outliers = forecast.score(THROUGH + timedelta(days=2), actual)
    products = next(score for score in scores if score.kind == "product")
    assert (products.date, products.horizon_day, products.series_count) == (date(2011, 2, 28), 2, 2)
    assert (products.actual, products.error, products.absolute_error) == (12, -2, 2)
    assert products.backtest_error == pytest.approx(0.2 * 12)
    # Tea is outside of its band of 80 percent, of 4.8 to 7.2, and inside of that of 95, of 3.6 to 8.4.
    assert (products.open_count, products.covered_80, products.covered_95) == (2, 1, 2)
    assert outliers == []


def test_a_closed_day_does_not_count_for_coverage(forecast: ServedForecast) -> None:
    scores, _ = forecast.score(THROUGH + timedelta(days=1), np.zeros((len(SCOPES), 3)))
    assert [(score.open_count, score.covered_95) for score in scores if score.kind == "shop"] == [(1, 0), (1, 0), (0, 0)]


def test_far_outside_of_the_band_is_an_outlier_and_a_little_outside_is_none(forecast: ServedForecast) -> None:
    actual = np.repeat(np.array(MEANS)[:, None], 2, axis=1)
    # The band of tea is 4.8 wide, up to 8.4.
    actual[3] = 8.4 + 4.7, 8.4 + 9.6
    _, outliers = forecast.score(THROUGH + timedelta(days=1), actual)
    [outlier] = outliers
    assert (outlier.date, outlier.scope, outlier.actual, outlier.mean) == (date(2011, 2, 28), Scope("product", "tea"), 18.0, 6.0)
    assert outlier.distance == pytest.approx(2, rel=1e-6)


def test_only_the_ten_farthest_of_a_day_are_outliers() -> None:
    scopes = (Scope(), *(Scope("product", f"p{number}") for number in range(12)))
    nothing = np.zeros((len(scopes), SERVED_DAYS), np.float32)
    quantiles = dict.fromkeys(("lower_95", "upper_95", "lower_80", "upper_80", "median"), nothing)
    actual = np.arange(2.0, len(scopes) + 2)[:, None]
    _, outliers = ServedForecast(THROUGH, scopes, nothing, quantiles, {}).score(THROUGH + timedelta(days=1), actual)
    names = [outlier.scope.name for outlier in outliers if outlier.scope.kind == "product"]
    assert names == [f"p{number}" for number in range(11, 1, -1)]
