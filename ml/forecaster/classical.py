"""Forecasts of each series by itself: exponential smoothing, Theta, and rules that repeat the past."""

import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from ml.forecaster.arrays import Floats, Integers
from ml.forecaster.features import Features
from ml.forecaster.sampling import Rows

# A forecast is cut to so many times the largest value of its series: a trend that is multiplied month by month knows no bound.
MAX_GROWTH = 3.0
# The change of the level since last year that the year-on-year rule believes.
MIN_CHANGE, MAX_CHANGE = 0.4, 2.5
# The longest season that the models of statsforecast are fitted with.
LONGEST_SEASON = {"ets": 24, "theta": 60}
# The steps of history, in all series together, that a model is fitted to in about 20 seconds on one core.
BUDGET = 600_000
# What a series is fitted to: its last steps or seasons, whichever is longer. With less than the least there is no such member.
MOST_STEPS, MOST_SEASONS = 150, 8
LEAST_STEPS, LEAST_SEASONS = 48, 3
# The standard normal quantile of a two-sided test at 90 percent.
SEASONAL_SCORE = 1.645

Member = Callable[[Features, Integers, int, int], Floats]
"""Forecasts series from an origin, of so many steps: of shape (series, steps); NaN where it has none."""


def rule_members(features: Features) -> dict[str, Member]:
    """The rules that cost next to nothing, by name."""
    rules: dict[str, Member] = {
        "smoothed": _smoothing_forecast,
        "naive": _last_season,
        "last_year": _last_year,
        "year_on_year": _year_on_year,
    }
    if features.cycle <= features.panel.season:
        del rules["last_year"]
    return rules


def model_members(features: Features) -> dict[str, Member]:
    """The models of statsforecast that may be fitted to the whole panel in about a minute, by name."""
    count, season = len(features.panel.names), features.panel.season
    members: dict[str, Member] = {}
    for name, longest_season in LONGEST_SEASON.items():
        steps = min(BUDGET // count, max(MOST_STEPS, MOST_SEASONS * season))
        if steps >= max(LEAST_STEPS, LEAST_SEASONS * season if season <= longest_season else 0):
            members[name] = partial(_fit_each, name, steps)
    return members


def _smoothing_forecast(features: Features, series: Integers, origin: int, steps: int) -> Floats:
    rows = _rows(series, origin, steps)
    return features.smoothed_level(*rows).reshape(len(series), steps)


def _last_season(features: Features, series: Integers, origin: int, steps: int) -> Floats:
    """The last known values of the same phase."""
    season = features.panel.season
    ahead = np.arange(steps) % season
    found = np.full((len(series), steps), np.nan)
    for back in range(1, 4):
        position = origin - back * season + ahead
        values = np.where(position >= 0, features.panel.values[np.ix_(series, np.maximum(position, 0))], np.nan)
        found = np.where(np.isnan(found), values, found)
    return found


def _last_year(features: Features, series: Integers, origin: int, steps: int) -> Floats:
    """The values one cycle earlier."""
    return features.last_cycle(*_rows(series, origin, steps))[0].reshape(len(series), steps)


def _year_on_year(features: Features, series: Integers, origin: int, steps: int) -> Floats:
    """Last year's values, times the change of the level since then."""
    value, change = features.last_cycle(*_rows(series, origin, steps))
    return (value * np.clip(change, MIN_CHANGE, MAX_CHANGE)).reshape(len(series), steps)


def _fit_each(name: str, longest: int, features: Features, series: Integers, origin: int, steps: int) -> Floats:
    """Fits a model of statsforecast to each series. longest: the last steps of the history to fit it to"""
    # Imported here: serving has no statsforecast, and a panel without budget does not wait for it.
    from statsforecast.models import Naive

    panel = features.panel
    known = features.known[:, max(0, origin - longest) : origin]
    values = panel.values[:, max(0, origin - longest) : origin]
    forecasts = np.full((len(series), steps), np.nan)
    for row, index in enumerate(series):
        history = _fill(values[index], known[index], panel.season)
        if not len(history):
            continue
        season = panel.season if panel.season <= LONGEST_SEASON[name] and len(history) > 2 * panel.season else 1
        model = _model(name, history, season) if len(history) >= 8 and np.ptp(history) > 0 else Naive()
        forecasts[row] = _forecast(model, history, steps)
    return forecasts


def _model(name: str, history: Floats, season: int) -> Any:
    """A model that is not fitted yet."""
    from statsforecast.models import AutoETS, DynamicOptimizedTheta

    if name == "theta":
        return DynamicOptimizedTheta(season_length=season)
    # A damped trend, and a season where there is one: trying all of ETS takes 15 times as long, and gains less than the mean with Theta.
    error = "M" if history.min() > 0 else "A"
    return AutoETS(season_length=season, model=f"{error}A{error if _is_seasonal(history, season) else 'N'}", damped=True)


def _is_seasonal(history: Floats, season: int) -> bool:
    """Whether the autocorrelation at the lag of a season is larger than by chance, as the M competitions test it (at 90 percent)."""
    if season == 1:
        return False
    deviation = history - history.mean()
    products = np.array([deviation[lag:] @ deviation[:-lag] for lag in range(1, season + 1)]) / (deviation @ deviation)
    return bool(abs(products[-1]) > SEASONAL_SCORE * np.sqrt((1 + 2 * (products[:-1] ** 2).sum()) / len(history)))


def _forecast(model: Any, history: Floats, steps: int) -> Floats:
    """One model's forecast, within reason; NaN where it cannot be fitted to this series."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            mean: Floats = np.asarray(model.forecast(history, h=steps)["mean"], dtype=np.float64)
        except Exception:  # noqa: BLE001  (for a series that it has no model for, statsforecast raises an error without a type of its own)
            return np.full(steps, np.nan)
    return np.clip(np.where(np.isfinite(mean), mean, np.nan), 0.0, MAX_GROWTH * history.max())


def _fill(values: Floats, known: np.ndarray, season: int) -> Floats:
    """The history from the first known step; an unknown value is that of a season before, else the median of all."""
    if not known.any():
        return np.zeros(0)
    first = int(known.argmax())
    filled = np.where(known, values, np.nan)[first:]
    middle = float(np.nanmedian(filled))
    for step in np.flatnonzero(np.isnan(filled)):
        filled[step] = filled[step - season] if step >= season else middle
    return filled


def _rows(series: Integers, origin: int, steps: int) -> Rows:
    repeated = np.repeat(series, steps)
    return Rows(repeated, np.full_like(repeated, origin), np.tile(np.arange(1, steps + 1), len(series)))


def forecast_members(members: Mapping[str, Member], features: Features, series: Integers, origin: int, steps: int) -> dict[str, Floats]:
    """The forecasts of all members, each of shape (series, steps); those of smoothing where a member has none."""
    made = {name: member(features, series, origin, steps) for name, member in members.items()}
    smoothed = made["smoothed"] if "smoothed" in made else _smoothing_forecast(features, series, origin, steps)
    return {name: np.where(np.isnan(values), smoothed, values) for name, values in made.items()}
