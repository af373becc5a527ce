"""Forecasts of panels whose distribution is known."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from ml.forecaster.automatic import forecast_panel
from ml.forecaster.hyperparameters import Hyperparameters
from ml.forecaster.metrics import SCORED_LEVELS
from ml.forecaster.panel import Frequency
from tests.ml.forecaster.panels import panel

HYPERPARAMETERS = Hyperparameters(rows=3000, span=800, rounds=60, rate=0.08, leaves=15, seed=1)
AHEAD = 14
MONTHS = np.arange("2015-01", "2021-01", dtype="datetime64[M]").astype("datetime64[s]")
Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]


@pytest.mark.parametrize(
    ("count", "draw", "tolerance"),
    [
        (20, lambda rng, shape: rng.poisson(30, shape), 0.04),
        (20, lambda rng, shape: rng.negative_binomial(3, 0.1, shape), 0.04),
        (3, lambda rng, shape: rng.poisson(30, shape), 0.07),
        (20, lambda rng, shape: rng.poisson(4, shape) * (rng.random(shape) < 0.6), 0.04),
    ],
    ids=["poisson", "negative binomial", "three series", "intermittent"],
)
def test_each_quantile_holds_its_share_of_a_known_distribution(count: int, draw: Draw, tolerance: float) -> None:
    rng = np.random.default_rng(7)
    quantiles = forecast_panel(panel(draw(rng, (count, 280)).astype(float), AHEAD), HYPERPARAMETERS).quantiles
    # The future is drawn many times, so that only the quantiles are uncertain.
    future = draw(rng, (200 * count, AHEAD)).reshape(200, count, AHEAD)
    for level in (0.1, 0.5, 0.9, 0.975):
        quantile = quantiles[:, :, SCORED_LEVELS.index(level)]
        # A discrete distribution has no quantile of exactly this share: the level lies between those of the values next to it.
        assert (future < quantile - 0.5).mean() - tolerance <= level <= (future <= quantile + 0.5).mean() + tolerance


@pytest.mark.parametrize("months", [36, 60])
def test_quantiles_of_few_seasons_hold_their_shares(months: int) -> None:
    """All that forecasts of the steps held back are made of must come from before, or their errors are too small."""
    rng = np.random.default_rng(2)
    year = np.exp(rng.normal(0, 0.4, (60, 12)))[:, np.arange(months + 6) % 12]
    level, noise = rng.uniform(20, 2000, (60, 1)), rng.uniform(0.05, 0.4, (60, 1))

    def draw(steps: slice) -> np.ndarray:
        expected = (level * year)[:, steps]
        return expected * np.exp(noise * rng.normal(size=expected.shape))

    monthly = replace(panel(draw(slice(months)), 6), season=12, frequency=Frequency.MONTH, times=MONTHS[: months + 6])
    quantiles = forecast_panel(monthly, HYPERPARAMETERS).quantiles
    future = np.stack([draw(slice(months, None)) for _ in range(100)])
    for level_of_quantile in (0.1, 0.5, 0.9, 0.975):
        below = (future <= quantiles[:, :, SCORED_LEVELS.index(level_of_quantile)]).mean()
        assert below == pytest.approx(level_of_quantile, abs=0.05)


def test_a_long_season_that_was_seen_twice_is_forecast_by_the_classical_models_too() -> None:
    weekly = replace(panel(np.random.default_rng(3).poisson(9, (40, 104)).astype(float), 4), season=52, frequency=Frequency.WEEK)
    errors = forecast_panel(weekly, HYPERPARAMETERS).choices["scaled_absolute_error"]
    assert isinstance(errors, dict)
    assert {"ets", "year_on_year"} <= set(errors)


def test_prices_count_by_how_they_differ_from_those_of_the_past() -> None:
    rng = np.random.default_rng(3)
    usual, demand = rng.uniform(1, 100, (12, 1)), rng.uniform(20, 200, (12, 1))
    # Each fortnight another price, of which demand is the power of -2.
    change = np.repeat(rng.normal(0, 0.3, (12, 21)), AHEAD, axis=1)
    expected = demand * np.exp(-2 * change)
    history = rng.poisson(expected[:, :-AHEAD]).astype(float)
    forecast = forecast_panel(panel(history, AHEAD, {"price": usual * np.exp(change)}), HYPERPARAMETERS)
    error = np.abs(forecast.quantiles[:, :, SCORED_LEVELS.index(0.5)] / expected[:, -AHEAD:] - 1)
    assert error.mean() < 0.2


def test_members_are_compared_where_the_steps_before_those_held_back_are_less_than_a_season() -> None:
    history = np.random.default_rng(5).poisson(30, (20, 70)).astype(float)
    errors = forecast_panel(replace(panel(history, 8), season=52), HYPERPARAMETERS).choices["scaled_absolute_error"]
    assert isinstance(errors, dict)
    assert 0 < errors["mixture"] < errors["naive"]
