"""Direct forecasts of small panels."""

import numpy as np
import pytest

from ml.forecaster.arrays import Floats
from ml.forecaster.direct import MAX_WIDTH, MIN_ERRORS, Forecast, fit, fit_widths
from ml.forecaster.features import Features
from ml.forecaster.hyperparameters import Hyperparameters
from ml.forecaster.panel import Panel
from ml.forecaster.quantiles import LEVELS, MEDIAN, normal_score
from ml.forecaster.sampling import Rows, Sampling
from tests.ml.forecaster.panels import panel, trend_and_week

HYPERPARAMETERS = Hyperparameters(rows=4000, span=400, rounds=60, rate=0.1, leaves=15, seed=1)
AHEAD = 14


def forecast(panel: Panel) -> Forecast:
    """The forecasts of all steps to come, shape (n, H) and (n, H, 7)."""
    features, count = Features(panel), len(panel.names)
    models = fit(features, Sampling(panel.horizon, panel.horizon, np.ones(count)), HYPERPARAMETERS, 2 * panel.horizon).final
    series = np.repeat(np.arange(count), panel.horizon)
    made = models.forecast(features, Rows(series, np.full_like(series, panel.length), np.tile(np.arange(1, panel.horizon + 1), count)))
    return Forecast(made.mean.reshape(count, panel.horizon), made.quantiles.reshape(count, panel.horizon, -1))


def error(forecast: Floats, actual: Floats) -> float:
    """The mean absolute error relative to the mean of the actual values."""
    return float(np.abs(forecast - actual).mean() / actual.mean())


def test_a_trend_with_a_weekly_season_is_continued() -> None:
    values = trend_and_week(200 + AHEAD)
    made = forecast(panel(values[:, :200], AHEAD))
    assert error(made.mean, values[:, 200:]) < 0.03
    assert error(made.quantiles[:, :, 3], values[:, 200:]) < 0.03


def test_a_promotion_that_is_known_in_advance_doubles_the_forecast() -> None:
    rng = np.random.default_rng(0)
    promoted = (rng.random((20, 300 + AHEAD)) < 0.2).astype(float)
    values = trend_and_week(300 + AHEAD, 20) * (1 + promoted)
    made = forecast(panel(values[:, :300], AHEAD, {"promotion": promoted}))
    assert error(made.mean, values[:, 300:]) < 0.1


def test_closed_days_are_forecast_at_zero() -> None:
    values = trend_and_week(200)
    closed = np.zeros((len(values), 200 + AHEAD), dtype=bool)
    closed[3, 205] = True
    made = forecast(panel(values, AHEAD, closed=closed))
    assert made.mean[3, 5] == 0
    assert not made.quantiles[3, 5].any()
    assert (made.mean[2] > 0).all()


def test_a_weekday_that_never_sells_is_forecast_at_zero() -> None:
    values = trend_and_week(200)
    values[:, 5::7] = 0
    made = forecast(panel(values, AHEAD))
    weekday = (200 + np.arange(AHEAD)) % 7
    assert not made.mean[:, weekday == 5].any()
    assert (made.mean[:, weekday != 5] > 0).all()


def test_values_after_the_origin_do_not_change_the_forecasts() -> None:
    rng = np.random.default_rng(1)
    values = rng.poisson(trend_and_week(200)).astype(float)
    noisy = values.copy()
    noisy[:, 150:] = rng.normal(1e6, 1e6, (len(values), 50))
    quiet, disturbed = (forecast(panel(each).before(150, AHEAD)) for each in (values, noisy))
    assert np.array_equal(quiet.mean, disturbed.mean)
    assert np.array_equal(quiet.quantiles, disturbed.quantiles)


def test_the_same_panel_gives_the_same_forecasts() -> None:
    values = np.random.default_rng(2).poisson(trend_and_week(120)).astype(float)
    first, second = (forecast(panel(values, AHEAD)) for _ in range(2))
    assert np.array_equal(first.mean, second.mean)
    assert np.array_equal(first.quantiles, second.quantiles)


def test_quantiles_are_in_order_and_not_negative() -> None:
    values = np.random.default_rng(3).poisson(0.3, (15, 150)).astype(float)
    quantiles = forecast(panel(values, AHEAD)).quantiles
    assert (np.diff(quantiles, axis=2) >= 0).all()
    assert (quantiles >= 0).all()


@pytest.fixture(scope="module")
def gamma_panel() -> tuple[Floats, Floats]:
    """The actual values of forty series with gamma noise, shape (n, H), and the forecast quantiles, shape (n, H, 7)."""
    rng = np.random.default_rng(4)
    values = rng.gamma(4, trend_and_week(300 + AHEAD, 40) / 4)
    return values[:, 300:], forecast(panel(values[:, :300], AHEAD)).quantiles


@pytest.mark.parametrize(("level", "lower", "upper"), [(0.8, 1, 5), (0.95, 0, 6)])
def test_intervals_cover_their_level(gamma_panel: tuple[Floats, Floats], level: float, lower: int, upper: int) -> None:
    actual, quantiles = gamma_panel
    inside = (actual >= quantiles[:, :, lower]) & (actual <= quantiles[:, :, upper])
    assert inside.mean() == pytest.approx(level, abs=0.06)


def test_a_series_without_history_starts_as_the_others_did() -> None:
    values = np.full((10, 120), 30.0) * (1 + 0.1 * np.random.default_rng(5).random((10, 120)))
    values[9] = np.nan
    assert forecast(panel(values, AHEAD)).mean[9] == pytest.approx(np.full(AHEAD, 31.5), rel=0.2)


@pytest.mark.parametrize("spread", [0.5, 1.0, 1.8])
def test_the_widths_correct_quantiles_that_are_too_narrow_or_too_wide_in_full(spread: float) -> None:
    random, count = np.random.default_rng(0), 20_000
    scale = np.exp(random.normal(size=count))
    normal = np.array([normal_score(level) for level in LEVELS])
    step = random.integers(1, 57, count)
    # The errors of further steps are half as large again.
    error = random.normal(size=count) * scale * np.where(step > 28, 1.5, 1.0)
    near, far = fit_widths(error, normal * scale[:, None] / spread, step, 28)
    moved = [column for column in range(len(LEVELS)) if column != MEDIAN]
    assert np.array(near)[moved] == pytest.approx(spread, rel=0.12)
    assert np.array(far)[moved] == pytest.approx(min(1.5 * spread, MAX_WIDTH), rel=0.12)


def test_few_errors_are_not_split_by_their_steps() -> None:
    error = np.random.default_rng(0).normal(size=2 * MIN_ERRORS - 2)
    distances = np.tile([normal_score(level) for level in LEVELS], (len(error), 1))
    near, far = fit_widths(error, distances, np.repeat([1, 50], MIN_ERRORS - 1), 28)
    assert near == far


def test_the_widths_of_quantiles_that_are_all_the_median_stay() -> None:
    assert fit_widths(np.ones(10), np.zeros((10, 7)), np.ones(10, dtype=np.int64), 28) == ((1.0,) * 7,) * 2
