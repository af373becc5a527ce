"""Exponential smoothing of all series at once."""

import numpy as np
import pytest

from ml.forecaster.arrays import Floats
from ml.forecaster.smoothing import SmoothingStates, smooth


def states(values: Floats, season: int, end: int | None = None) -> SmoothingStates:
    return smooth(values, np.zeros(values.shape, dtype=bool), season, end)


def forecasts(found: SmoothingStates, origin: int, horizon: int) -> Floats:
    """Shape (n, horizon)."""
    count = len(found.level)
    rows = np.repeat(np.arange(count), horizon), np.full(count * horizon, origin), np.tile(np.arange(1, horizon + 1), count)
    return found.forecast(*rows).reshape(count, horizon)


@pytest.mark.parametrize(("season", "origin"), [(1, 20), (7, 5), (12, 10), (12, 30), (52, 70)])
def test_what_comes_after_an_origin_changes_no_forecast_from_it(season: int, origin: int) -> None:
    rng = np.random.default_rng(1)
    past = rng.poisson(20, (6, origin)).astype(float)
    past[0, :3] = np.nan
    one, other = (np.concatenate([past, rng.poisson(mean, (6, 40)).astype(float)], axis=1) for mean in (20, 500))
    expected = forecasts(states(past, season), origin, 15)
    for later in (one, other):
        assert forecasts(states(later, season, end=origin), origin, 15) == pytest.approx(expected)


def test_a_season_is_learned_from_its_second_repetition_on() -> None:
    month = np.arange(120)
    year = np.array([3.0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2])[month % 12] * 100
    ahead = forecasts(states(year[None], 12), 120, 12)[0]
    assert ahead == pytest.approx(year[:12], rel=0.2)


def test_a_series_of_less_than_a_season_is_its_level() -> None:
    late = np.full((1, 30), np.nan)
    late[0, 24:] = [10, 12, 8, 10, 11, 9]
    assert forecasts(states(late, 12), 30, 12)[0] == pytest.approx(np.full(12, 10.0), rel=0.1)
