"""Direct forecasts of small panels."""

import numpy as np
import pytest

from ml.forecaster.direct import Draw, Forecast, Recipe, fit
from ml.forecaster.features import Features
from ml.forecaster.panel import Numbers, Panel
from tests.ml.forecaster.panels import panel, trend_and_week

RECIPE = Recipe(rows=4000, span=400, rounds=60, rate=0.1, leaves=15, seed=1)
AHEAD = 14


def forecast(panel: Panel) -> Forecast:
    """The forecasts of all steps to come, shape (n, H) and (n, H, knots)."""
    features, count = Features(panel), len(panel.names)
    models = fit(features, Draw(panel.ahead, panel.ahead, np.ones(count)), RECIPE, 2 * panel.ahead).final
    series = np.repeat(np.arange(count), panel.ahead)
    made = models.forecast(features, (series, np.full_like(series, panel.seen), np.tile(np.arange(1, panel.ahead + 1), count)))
    return Forecast(made.mean.reshape(count, panel.ahead), made.knots.reshape(count, panel.ahead, -1))


def error(forecast: Numbers, actual: Numbers) -> float:
    """The mean absolute error, as a share of what came."""
    return float(np.abs(forecast - actual).mean() / actual.mean())


def test_a_trend_plus_a_week_goes_on() -> None:
    values = trend_and_week(200 + AHEAD)
    made = forecast(panel(values[:, :200], AHEAD))
    assert error(made.mean, values[:, 200:]) < 0.03
    assert error(made.knots[:, :, 3], values[:, 200:]) < 0.03


def test_a_promotion_doubles_sales_where_it_is_published() -> None:
    rng = np.random.default_rng(0)
    promoted = (rng.random((20, 300 + AHEAD)) < 0.2).astype(float)
    values = trend_and_week(300 + AHEAD, 20) * (1 + promoted)
    made = forecast(panel(values[:, :300], AHEAD, {"promotion": promoted}))
    assert error(made.mean, values[:, 300:]) < 0.1


def test_shut_days_are_forecast_at_zero() -> None:
    values = trend_and_week(200)
    shut = np.zeros((len(values), 200 + AHEAD), dtype=bool)
    shut[3, 205] = True
    made = forecast(panel(values, AHEAD, shut=shut))
    assert made.mean[3, 5] == 0
    assert not made.knots[3, 5].any()
    assert (made.mean[2] > 0).all()


def test_a_weekday_that_never_sells_is_forecast_at_zero() -> None:
    values = trend_and_week(200)
    values[:, 5::7] = 0
    made = forecast(panel(values, AHEAD))
    weekday = (200 + np.arange(AHEAD)) % 7
    assert not made.mean[:, weekday == 5].any()
    assert (made.mean[:, weekday != 5] > 0).all()


def test_noise_after_the_origin_changes_no_forecast() -> None:
    rng = np.random.default_rng(1)
    values = rng.poisson(trend_and_week(200)).astype(float)
    noisy = values.copy()
    noisy[:, 150:] = rng.normal(1e6, 1e6, (len(values), 50))
    quiet, disturbed = (forecast(panel(each).before(150, AHEAD)) for each in (values, noisy))
    assert np.array_equal(quiet.mean, disturbed.mean)
    assert np.array_equal(quiet.knots, disturbed.knots)


def test_the_same_panel_gives_the_same_forecasts() -> None:
    values = np.random.default_rng(2).poisson(trend_and_week(120)).astype(float)
    first, second = (forecast(panel(values, AHEAD)) for _ in range(2))
    assert np.array_equal(first.mean, second.mean)
    assert np.array_equal(first.knots, second.knots)


def test_quantiles_are_in_order_and_not_negative() -> None:
    values = np.random.default_rng(3).poisson(0.3, (15, 150)).astype(float)
    knots = forecast(panel(values, AHEAD)).knots
    assert (np.diff(knots, axis=2) >= 0).all()
    assert (knots >= 0).all()


@pytest.mark.parametrize("share", [0.8, 0.95])
def test_bands_hold_their_share_of_what_comes(share: float) -> None:
    rng = np.random.default_rng(4)
    values = rng.gamma(4, trend_and_week(300 + AHEAD, 40) / 4)
    knots = forecast(panel(values[:, :300], AHEAD)).knots
    lower, upper = {0.8: (1, 5), 0.95: (0, 6)}[share]
    held = (values[:, 300:] >= knots[:, :, lower]) & (values[:, 300:] <= knots[:, :, upper])
    assert held.mean() == pytest.approx(share, abs=0.06)


def test_a_series_without_history_begins_as_the_others_did() -> None:
    values = np.full((10, 120), 30.0) * (1 + 0.1 * np.random.default_rng(5).random((10, 120)))
    values[9] = np.nan
    assert forecast(panel(values, AHEAD)).mean[9] == pytest.approx(np.full(AHEAD, 31.5), rel=0.2)
