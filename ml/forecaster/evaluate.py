"""Evaluation: scores a recipe in the test and validation windows, beside the baselines.

Three test windows of 28 days end with the data, and the validation windows lie before them. The recipe is fitted anew before each window.
The quick recipe is scored as far as the gate requires: in the test windows, without AutoETS, and without the scores of every scope.
"""

import csv
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml.forecaster import baselines
from ml.forecaster.accuracy import WINDOW
from ml.forecaster.card import write_card
from ml.forecaster.fitting import HistoryTooShort
from ml.forecaster.forecasts import UNITS_METRIC, Scope
from ml.forecaster.metrics import SCORED_LEVELS
from ml.forecaster.model import Forecaster
from ml.forecaster.shop import Shop, read_shop
from ml.forecaster.shop_scores import (
    average_scores,
    product_forecasts,
    product_panel,
    scope_scores,
    scored_products,
    series_scores,
    window_origins,
    window_scores,
)
from ml.forecaster.train import DATA, MODEL, PARAMETERS, artifact_facts, chosen_recipe, fit_before

METRICS_FILE, PLOTS, CARD = Path("metrics/forecaster.json"), Path("plots/forecaster"), Path("cards/forecaster.md")
SCORES = Path("scores/forecaster_scores.json")
PLOT_COLUMNS = ("window", "date", "actual", "mean", "median", "lower_80", "upper_80")

Row = Sequence[object]


@dataclass(frozen=True)
class _Evaluation:
    """A recipe to evaluate on a shop."""

    shop: Shop
    hyperparameters: Mapping[str, Any]
    thorough: bool
    """Whether to score more than the gate requires."""
    report: Callable[[str], None]


def measure(folder: Path, hyperparameters: Mapping[str, Any]) -> Mapping[str, float]:
    """The scores of hyperparameters, and of the seasonal naive forecast, in the test windows of the clean data in a folder."""
    shop = read_shop(folder)
    origins = window_origins(shop)["test"]
    products = scored_products(shop, origins[0])
    scores = []
    for origin in origins:
        forecaster = fit_before(shop, origin, hyperparameters, artifact_facts(folder, hyperparameters), WINDOW)
        scores.append(_scores_with_baselines(shop, forecaster, products, origin, thorough=False))
    return {f"test.{name}": value for name, value in average_scores(scores).items()}


def run_stage(report: Callable[[str], None]) -> None:
    """Scores the chosen recipe, and writes metrics, plots and the model card. The model of the last window is the trained one."""
    shop, (name, hyperparameters) = read_shop(DATA), chosen_recipe(PARAMETERS)
    try:
        scores, rows, by_series = _evaluate(_Evaluation(shop, hyperparameters, name == "full", report))
    except HistoryTooShort as error:
        sys.exit(f"forecaster: {error}")
    _write(scores, rows, write_card(shop, hyperparameters, scores))
    SCORES.parent.mkdir(exist_ok=True)
    SCORES.write_text(json.dumps(by_series) + "\n")


def _evaluate(evaluation: _Evaluation) -> tuple[dict[str, float], list[Row], dict[str, dict[str, float]]]:
    """The scores, as `test.mase`, the rows of the plot, and the scores by product. Raises `HistoryTooShort`."""
    scores: dict[str, float] = {}
    by_series: dict[str, dict[str, float]] = {}
    rows: list[Row] = []
    windows = window_origins(evaluation.shop)
    for window in windows if evaluation.thorough else ["test"]:
        averages, plotted, single = _evaluate_windows(evaluation, window, windows[window])
        by_series |= {f"{window}.{name}": values for name, values in single.items()}
        scores |= {f"{window}.{name}": round(value, 6) for name, value in averages.items()}
        rows += plotted
    return scores, rows, by_series


def _evaluate_windows(
    evaluation: _Evaluation, name: str, origins: Sequence[int]
) -> tuple[dict[str, float], list[Row], dict[str, dict[str, float]]]:
    """The average scores of three windows, the rows of the plot, and the MASE of each product in each window."""
    shop, hyperparameters = evaluation.shop, evaluation.hyperparameters
    products = scored_products(shop, origins[0])
    scores, rows = [], []
    by_series: dict[str, dict[str, float]] = {"mase": {}, "sql": {}}
    for origin in origins:
        evaluation.report(f"measuring in the {name} window from {shop.first_day + origin}")
        trained = origin == shop.day_count - WINDOW
        facts = artifact_facts(DATA, hyperparameters)
        forecaster = Forecaster.load(MODEL) if trained else fit_before(shop, origin, hyperparameters, facts, WINDOW)
        known = shop.before(origin + WINDOW)
        found = _scores_with_baselines(shop, forecaster, products, origin, thorough=evaluation.thorough)
        scores.append(found | (scope_scores(forecaster, known) if evaluation.thorough else {}))
        rows += _plot_rows(name, forecaster, known)
        panel = product_panel(shop, products, origin)
        for score, values in series_scores(shop, products, panel, product_forecasts(forecaster, panel.names)).items():
            by_series[score] |= {f"{product} {origin}": round(value, 6) for product, value in values.items()}
    return average_scores(scores), rows, by_series


def _scores_with_baselines(shop: Shop, forecaster: Forecaster, products: Sequence[int], origin: int, *, thorough: bool) -> dict[str, float]:
    """The scores of the forecaster and, with the prefix of its name, of each baseline."""
    panel = product_panel(shop, products, origin)
    forecasts = {
        "": product_forecasts(forecaster, panel.names),
        "seasonal_naive.": baselines.seasonal_naive(panel, SCORED_LEVELS),
    }
    if thorough:
        forecasts["auto_ets."] = baselines.auto_ets(panel, SCORED_LEVELS)
    return {
        f"{prefix}{name}": value
        for prefix, forecast in forecasts.items()
        for name, value in window_scores(shop, products, panel, forecast).items()
    }


def _plot_rows(window: str, forecaster: Forecaster, shop: Shop) -> list[Row]:
    """Sales and forecast of the whole shop on each day of a window. shop: with the days of the window"""
    points = forecaster.forecast(Scope(), UNITS_METRIC, WINDOW, "day", (80,))
    actual = shop.sales_by_scope(UNITS_METRIC)[0, -WINDOW:].tolist()
    return [[window, str(p.date), value, p.mean, p.median, *p.bands[80]] for p, value in zip(points, actual, strict=True)]


def _write(scores: Mapping[str, float], rows: Sequence[Row], card: str) -> None:
    for folder in (METRICS_FILE.parent, PLOTS, CARD.parent):
        folder.mkdir(parents=True, exist_ok=True)
    METRICS_FILE.write_text(json.dumps({f"forecaster.{name}": value for name, value in scores.items()}, indent=1) + "\n")
    with (PLOTS / "shop.csv").open("w", newline="") as file:
        csv.writer(file).writerows([PLOT_COLUMNS, *rows])
    CARD.write_text(card)
