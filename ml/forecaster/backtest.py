"""Backtests the forecaster on any panel.

    python -m ml.forecaster.backtest --panel panel.parquet --season 7 --horizon 48 --windows 10 --out predictions.csv

The panel is long: `series`, `time`, `value`, then covariates and static attributes. Windows are one horizon apart, the last ends with the
panel, and the model is fitted anew before each. The scores are printed as JSON.
"""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from ml.forecaster import baselines
from ml.forecaster.arrays import Floats, overall_mean
from ml.forecaster.automatic import forecast_panel
from ml.forecaster.hyperparameters import Hyperparameters
from ml.forecaster.metrics import SCORED_LEVELS, panel_scores
from ml.forecaster.panel import Frequency, Panel
from ml.forecaster.panel_errors import InvalidPanel
from ml.forecaster.panel_file import Layout, read_panel

HYPERPARAMETERS = Hyperparameters(rows=120_000, span=800, rounds=120, rate=0.08, leaves=31, seed=1)
# The steps of history before the first window that a model needs.
MIN_LENGTHS = {Frequency.MONTH: 18, Frequency.QUARTER: 12}
MIN_LENGTH = 24


def main(arguments: list[str]) -> None:
    """Reads the panel, forecasts the windows, writes the forecasts and prints the scores."""
    options = _parser().parse_args(arguments)
    try:
        for file in filter(None, (options.out, options.report)):
            _check_output(file)
        layout = Layout(options.frequency, options.season, options.known, options.static, _parse_closed(options.shut))
        panel = read_panel(options.panel, layout)
        origins = _window_origins(panel, options.horizon, options.windows, str(options.panel))
    except InvalidPanel as error:
        sys.exit(str(error))
    if panel.season >= origins[0]:
        print(f"{options.panel}: no season of {panel.season} steps fits into {origins[0]}, so there is none.", file=sys.stderr)
        panel = replace(panel, season=1)
    if options.frequency is None:
        print(f"{options.panel}: found steps of one {panel.frequency}; --frequency sets another.", file=sys.stderr)
    tables, scores, naive_scores, windows = [], [], [], []
    for number, origin in enumerate(origins, start=1):
        known = panel.before(origin, options.horizon)
        mean, quantiles, choices = forecast_panel(known, HYPERPARAMETERS, _reporter(number, len(origins)))
        windows.append({"origin": _origin_text(known), **choices})
        tables.append(_predictions(known, mean, quantiles))
        scores.append(_score_window(panel, origin, mean, quantiles))
        naive_scores.append(_score_window(panel, origin, *baselines.seasonal_naive(known, SCORED_LEVELS)))
    pa_csv.write_csv(pa.concat_tables(tables), options.out)
    if options.report is not None:
        options.report.write_text(json.dumps({"frequency": panel.frequency, "season": panel.season, "windows": windows}, indent=2) + "\n")
    print(json.dumps({**_average(scores), "frequency": panel.frequency, "seasonal_naive": _average(naive_scores)}, indent=2))


def _score_window(panel: Panel, origin: int, mean: Floats, quantiles: Floats) -> dict[str, float]:
    """The scores of the forecasts from an origin. mean, quantiles: shape (n, h) and (n, h, 11)"""
    horizon = mean.shape[1]
    history, actual = panel.values[:, :origin], panel.values[:, origin : origin + horizon]
    open_steps = ~panel.before(origin, horizon).closures()[:, origin:]
    return panel_scores(history, panel.season, actual, mean, quantiles, open_steps)


def _average(scores: list[dict[str, float]]) -> dict[str, float | None]:
    """Each score, averaged over the windows in which it is known, or None."""
    means = {name: overall_mean(np.array([window[name] for window in scores])) for name in scores[0]}
    return {name: round(mean, 6) if np.isfinite(mean) else None for name, mean in means.items()}


def _predictions(panel: Panel, mean: Floats, quantiles: Floats) -> pa.Table:
    """One row per series and step."""
    count, horizon = mean.shape
    columns = {
        "origin": [_origin_text(panel)] * (count * horizon),
        "series": np.repeat(np.array(panel.names, dtype=object), horizon),
        "step": np.tile(np.arange(1, horizon + 1), count),
        "mean": mean.ravel(),
        **{f"q{level:g}": quantiles[:, :, index].ravel() for index, level in enumerate(SCORED_LEVELS)},
    }
    return pa.table(columns)


def _origin_text(panel: Panel) -> str:
    """The last time of the history: without the time of day unless steps are hours."""
    last = panel.times[panel.length - 1]
    if not np.issubdtype(panel.times.dtype, np.datetime64):
        return str(last)
    return str(last.astype("datetime64[D]")) if panel.frequency is not Frequency.HOUR else str(last).replace("T", " ")


def _window_origins(panel: Panel, horizon: int, windows: int, path: str) -> list[int]:
    """The origins of the windows, in order. Raises `InvalidPanel` for a panel that is too short."""
    first = panel.length - horizon * windows
    needed = MIN_LENGTHS.get(panel.frequency, MIN_LENGTH)
    if first < needed:
        raise InvalidPanel(
            f"{path} has {panel.length} steps: {windows} windows of {horizon} leave {max(first, 0)} before the first, "
            f"and it takes {needed}."
        )
    return list(range(first, panel.length, horizon))


def _check_output(out: Path) -> None:
    """Raises `InvalidPanel` for an output file that cannot be written, before the work."""
    if out.is_dir() or not out.parent.is_dir():
        raise InvalidPanel(f"{out} cannot be written: {'it is a folder' if out.is_dir() else f'there is no folder {out.parent}'}.")


def _parse_closed(text: str | None) -> tuple[str, str] | None:
    """The column and the value of `open=0`."""
    if text is None:
        return None
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise InvalidPanel(f"--shut takes a column and a value, such as open=0, and was given {text}.")
    return name, value


def _reporter(number: int, count: int) -> Callable[[str], None]:
    """Prints the progress of a window, on a terminal only."""
    return lambda stage: print(f"window {number} of {count}: {stage}", file=sys.stderr, flush=True) if sys.stderr.isatty() else None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ml.forecaster.backtest", description="Backtest the forecaster on any panel.")
    parser.add_argument("--panel", type=Path, required=True, help="a Parquet file: series, time, value and more")
    parser.add_argument("--season", type=_positive, required=True, help="steps in a season; 1 for none")
    parser.add_argument("--horizon", type=_positive, required=True, help="steps to forecast")
    parser.add_argument("--windows", type=_positive, required=True, help="number of windows")
    parser.add_argument("--frequency", type=Frequency, choices=list(Frequency), help="length of a step; by default as found in the panel")
    parser.add_argument("--known", nargs="+", default=[], help="columns of covariates, which are known in advance")
    parser.add_argument("--static", nargs="+", default=[], help="columns that do not change within a series")
    parser.add_argument("--shut", help="a column, and its value that marks a step as closed, such as open=0")
    parser.add_argument("--out", type=Path, required=True, help="the CSV file to write")
    parser.add_argument("--report", type=Path, help="a JSON file to write: what was chosen for each window, and the errors that decided it")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


if __name__ == "__main__":
    main(sys.argv[1:])
