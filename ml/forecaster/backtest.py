"""Backtests the forecaster on any panel.

    python -m ml.forecaster.backtest --panel panel.parquet --season 7 --horizon 48 --windows 10 --out predictions.csv

The panel is long: `series`, `time`, `value`, and columns known in advance or static. Windows are one horizon apart, the last ends with the
panel, and the model is fitted anew before each. The scores are printed as JSON.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from ml.forecaster import baselines, metrics
from ml.forecaster.direct import Draw, Recipe, fit
from ml.forecaster.features import Features
from ml.forecaster.panel import Frequency, Numbers, Panel
from ml.forecaster.panel_file import Layout, Refused, read_panel
from ml.forecaster.quantiles import quantiles

LEVELS = (0.025, *metrics.DECILES, 0.975)
RECIPE = Recipe(rows=120_000, span=800, rounds=120, rate=0.08, leaves=31, seed=1)
# What must be seen before the first window, for a model to learn anything.
LEAST_SEEN = 24


def main(arguments: list[str]) -> None:
    """Reads the panel, forecasts the windows, writes the forecasts and prints the scores."""
    options = parser().parse_args(arguments)
    try:
        shut = shut_option(options.shut)
        panel = read_panel(options.panel, Layout(options.frequency, options.season, options.known, options.static, shut))
        origins = window_origins(panel, options.horizon, options.windows, str(options.panel))
    except Refused as error:
        sys.exit(str(error))
    tables, scores, naive = [], [], []
    for place, origin in enumerate(origins, start=1):
        seen = panel.before(origin, options.horizon)
        mean, knots = forecast(seen, options.horizon, progress(place, len(origins)))
        tables.append(predictions(seen, mean, knots))
        scores.append(window_scores(panel, origin, mean, knots))
        naive.append(window_scores(panel, origin, *baselines.seasonal_naive(seen, LEVELS)))
    pa_csv.write_csv(pa.concat_tables(tables), options.out)
    print(json.dumps({**average(scores), "seasonal_naive": average(naive)}, indent=2))


def forecast(panel: Panel, horizon: int, told: Callable[[str], None]) -> tuple[Numbers, Numbers]:
    """The mean of the steps to come, shape (n, H), and their quantiles at LEVELS, shape (n, H, levels)."""
    count, features = len(panel.names), Features(panel)
    draw = Draw(horizon, near=horizon, chances=np.ones(count))
    model = fit(features, draw, RECIPE, min(2 * horizon, panel.seen // 3), told).final
    told("forecasting")
    series, step = (places.ravel() for places in np.meshgrid(np.arange(count), np.arange(1, horizon + 1), indexing="ij"))
    made = model.forecast(features, (series, np.full_like(series, panel.seen), step))
    return made.mean.reshape(count, horizon), quantiles(made.knots, LEVELS).reshape(count, horizon, len(LEVELS))


def window_scores(panel: Panel, origin: int, mean: Numbers, knots: Numbers) -> dict[str, float]:
    """The scores of one window: forecasts of shape (n, h) and (n, h, levels) made after `origin` steps."""
    horizon = mean.shape[1]
    history, actual = panel.values[:, :origin], panel.values[:, origin : origin + horizon]
    open_steps = ~panel.before(origin, horizon).rests()[:, origin:]
    scale = metrics.seasonal_scale(history, panel.season)
    known = ~np.isnan(actual)
    total, expected = (np.where(known, values, 0.0).sum(axis=0, keepdims=True) for values in (actual, mean))
    whole = np.nansum(history, axis=0, keepdims=True)
    return {
        "mase": metrics.mase(actual, knots[:, :, LEVELS.index(0.5)], scale),
        "sql": metrics.scaled_quantile_loss(actual, knots[:, :, 1:-1], scale),
        "cov80": metrics.coverage(actual, knots[:, :, 1], knots[:, :, -2], open_steps),
        "cov95": metrics.coverage(actual, knots[:, :, 0], knots[:, :, -1], open_steps),
        "rmsse": metrics.rmsse(actual, mean, metrics.squared_scale(history)),
        "rmsse_total": metrics.rmsse(total, expected, metrics.squared_scale(whole)),
    }


def average(scores: list[dict[str, float]]) -> dict[str, float | None]:
    """Each score averaged over the windows; none where no window has it."""
    means = {name: metrics.mean_known(np.array([window[name] for window in scores])) for name in scores[0]}
    return {name: round(mean, 6) if np.isfinite(mean) else None for name, mean in means.items()}


def predictions(panel: Panel, mean: Numbers, knots: Numbers) -> pa.Table:
    """One row per series and step."""
    count, horizon = mean.shape
    columns = {
        "origin": [origin_text(panel)] * (count * horizon),
        "series": np.repeat(np.array(panel.names, dtype=object), horizon),
        "step": np.tile(np.arange(1, horizon + 1), count),
        "mean": mean.ravel(),
        **{f"q{level:g}": knots[:, :, place].ravel() for place, level in enumerate(LEVELS)},
    }
    return pa.table(columns)


def origin_text(panel: Panel) -> str:
    """The last time seen, as it reads in a file: a day without its hour where steps are days or longer."""
    last = panel.times[panel.seen - 1]
    if not np.issubdtype(panel.times.dtype, np.datetime64):
        return str(last)
    return str(last.astype("datetime64[D]")) if panel.frequency is not Frequency.HOUR else str(last).replace("T", " ")


def window_origins(panel: Panel, horizon: int, windows: int, path: str) -> list[int]:
    """After how many steps each window's forecast is made, in order."""
    first = panel.seen - horizon * windows
    if first < max(LEAST_SEEN, panel.season + 1):
        raise Refused(
            f"{path} has {panel.seen} steps: {windows} windows of {horizon} leave {max(first, 0)} before the first, "
            f"and it takes {max(LEAST_SEEN, panel.season + 1)}."
        )
    return list(range(first, panel.seen, horizon))


def shut_option(text: str | None) -> tuple[str, str] | None:
    """A column and its value, of `open=0`."""
    if text is None:
        return None
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise Refused(f"--shut takes a column and a value, such as open=0, and was given {text}.")
    return name, value


def progress(place: int, count: int) -> Callable[[str], None]:
    """Tells on a terminal what a window is at."""
    return lambda stage: print(f"window {place} of {count}: {stage}", file=sys.stderr, flush=True) if sys.stderr.isatty() else None


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(prog="python -m ml.forecaster.backtest", description="Backtest the forecaster on any panel.")
    options.add_argument("--panel", type=Path, required=True, help="a Parquet file: series, time, value and more")
    options.add_argument("--season", type=positive, required=True, help="steps in a season; 1 for none")
    options.add_argument("--horizon", type=positive, required=True, help="steps to forecast")
    options.add_argument("--windows", type=positive, required=True, help="how many times")
    options.add_argument("--frequency", type=Frequency, default=Frequency.DAY, choices=list(Frequency), help="how long a step is")
    options.add_argument("--known", nargs="+", default=[], help="columns that are known in advance")
    options.add_argument("--static", nargs="+", default=[], help="columns that do not change within a series")
    options.add_argument("--shut", help="the column and value of it on which a series rests, such as open=0")
    options.add_argument("--out", type=Path, required=True, help="the CSV file to write")
    return options


def positive(text: str) -> int:
    """A whole number from 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


if __name__ == "__main__":
    main(sys.argv[1:])
