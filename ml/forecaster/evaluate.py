"""Stage: what the recipe is worth in the test and the validation windows, beside the baselines.

Three windows of 28 days end with the data, those of the validation before them. The recipe is fitted anew before each. The quick recipe is
measured as far as the gate asks: in the test windows, without AutoETS, and without every single place.
"""

import csv
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ml.forecaster import baselines, metrics
from ml.forecaster.fitting import TooShort
from ml.forecaster.model import NEAR, Forecaster, Point, Scope, ScopeKind
from ml.forecaster.panel import Frequency, Numbers, Panel
from ml.forecaster.seasons import WEEK
from ml.forecaster.shop import METRICS, UNITS_METRIC, Shop, read_shop
from ml.forecaster.train import DATA, MODEL, PARAMETERS, facts, fit_before, recipe

WINDOWS = 3
# The products that are scored: those with the highest revenue in the year before the first window.
PANEL, PANEL_DAYS = 200, 365
# Bands whose ends are the deciles, and the widest.
BANDS = (20, 40, 60, 80, 95)
LEVELS = (0.025, *metrics.DECILES, 0.975)
METRICS_FILE, PLOTS, CARD = Path("metrics/forecaster.json"), Path("plots/forecaster"), Path("cards/forecaster.md")
TITLES = {"mase": "MASE", "sql": "SQL", "cov80": "cov80", "cov95": "cov95", "total_rmsse": "RMSSE of the total"}

Forecasts = tuple[Numbers, Numbers]


def measure(folder: Path, numbers: Mapping[str, Any]) -> Mapping[str, float]:
    """What the recipe with these numbers is worth in the test windows of the data in a folder, and what the seasonal naive is."""
    shop = read_shop(folder)
    origins = window_origins(shop)["test"]
    chosen = panel_products(shop, origins[0])
    scores = []
    for origin in origins:
        forecaster = fit_before(shop, origin, numbers, facts(folder, numbers), NEAR)
        panel = product_panel(shop, chosen, origin)
        told = {"": told_by(forecaster, panel.names), "seasonal_naive.": baselines.seasonal_naive(panel, LEVELS)}
        scores.append(window_scores(shop, chosen, panel, told))
    return {f"test.{name}": value for name, value in averages(scores).items()}


def window_origins(shop: Shop) -> dict[str, list[int]]:
    """After how many days the forecasts of the windows are made."""
    return {
        name: [shop.day_count - NEAR * back for back in range(last + WINDOWS, last, -1)]
        for name, last in (("validation", WINDOWS), ("test", 0))
    }


def panel_products(shop: Shop, origin: int) -> list[int]:
    """The places of the products that are scored; a small shop has fewer than PANEL that have sold."""
    revenue = shop.revenue[:, max(0, origin - PANEL_DAYS) : origin].sum(axis=1)
    best = np.argsort(-revenue, kind="stable")[:PANEL]
    sold: list[int] = best[revenue[best] > 0].tolist()
    return sold


def product_panel(shop: Shop, chosen: Sequence[int], origin: int) -> Panel:
    """The products before a window, with its days to come."""
    units = shop.units[chosen, :origin]
    began = units.cumsum(axis=1) > 0
    times = (shop.first_day + np.arange(origin + NEAR)).astype("datetime64[s]")
    return Panel(
        names=tuple(shop.products[place] for place in chosen),
        times=times,
        values=np.where(began, units, np.nan),
        shut=np.zeros((len(chosen), len(times)), dtype=bool),
        known={},
        static={},
        frequency=Frequency.DAY,
        season=WEEK,
    )


def told_by(forecaster: Forecaster, products: Sequence[str]) -> Forecasts:
    """The means of these products, shape (n, NEAR), and their quantiles at LEVELS, shape (n, NEAR, levels)."""
    points = [forecaster.forecast(Scope("product", product), UNITS_METRIC, NEAR, "day", BANDS) for product in products]
    mean = np.array([[point.mean for point in row] for row in points])
    lower = [[[point.bands[level][0] for level in reversed(BANDS)] for point in row] for row in points]
    upper = [[[point.bands[level][1] for level in BANDS] for point in row] for row in points]
    median = [[[point.median] for point in row] for row in points]
    return mean, np.concatenate([lower, median, upper], axis=2)


def window_scores(shop: Shop, chosen: Sequence[int], panel: Panel, told: Mapping[str, Forecasts]) -> dict[str, float]:
    """The scores of one window of each forecast, by the beginnings of their names."""
    actual = shop.units[chosen, panel.seen : panel.seen + NEAR]
    scale, whole = metrics.seasonal_scale(panel.values, WEEK), np.nansum(panel.values, axis=0, keepdims=True)
    open_days = ~panel.rests()[:, panel.seen :]
    scores: dict[str, float] = {}
    for name, (mean, quantiles) in told.items():
        scores |= {
            f"{name}mase": metrics.mase(actual, quantiles[:, :, LEVELS.index(0.5)], scale),
            f"{name}sql": metrics.scaled_quantile_loss(actual, quantiles[:, :, 1:-1], scale),
            f"{name}cov80": metrics.coverage(actual, quantiles[:, :, 1], quantiles[:, :, -2], open_days),
            f"{name}cov95": metrics.coverage(actual, quantiles[:, :, 0], quantiles[:, :, -1], open_days),
            f"{name}total_rmsse": metrics.rmsse(
                actual.sum(axis=0, keepdims=True), mean.sum(axis=0, keepdims=True), metrics.squared_scale(whole)
            ),
        }
    return scores


def level_scores(forecaster: Forecaster, shop: Shop) -> dict[str, float]:
    """The scores of one window of every place, by metric and kind of place, the days and the weeks of all counted alike.

    shop: with the days of the window
    """
    scores: dict[str, float] = {}
    origin = shop.day_count - NEAR
    for metric in METRICS:
        values = dict(zip(shop_scopes(shop), shop.places(metric), strict=True))
        found: dict[str, list[list[float]]] = {}
        for scope in forecaster.scopes:
            history, actual = values[scope][None, :origin], values[scope][None, origin:]
            days, weeks = (forecaster.forecast(scope, metric, NEAR, period, (80, 95)) for period in ("day", "week"))
            by_week = np.add.reduceat(actual[0], np.cumsum([0, *(point.day_count for point in weeks[:-1])]))
            median, mean = (np.array([[getattr(point, name) for point in days]]) for name in ("median", "mean"))
            found.setdefault(scope.kind, []).append(
                [
                    metrics.mase(actual, median, metrics.seasonal_scale(history, WEEK)),
                    metrics.rmsse(actual, mean, metrics.squared_scale(history)),
                    *(held(days, actual[0], level) for level in (80, 95)),
                    *(held(weeks, by_week, level) for level in (80, 95)),
                ]
            )
        for kind, rows in found.items():
            scores |= {f"{metric}.{kind}.{name}": metrics.mean_known(column) for name, column in zip(PLACE, np.array(rows).T, strict=True)}
    return scores


def held(points: Sequence[Point], actual: Numbers, level: int) -> float:
    """The share of the periods whose band held what came, of those in which something could come."""
    kept = [
        lower <= value <= upper for point, value in zip(points, actual, strict=True) for lower, upper in [point.bands[level]] if upper > 0
    ]
    return float(np.mean(kept)) if kept else float("nan")


def shop_scopes(shop: Shop) -> list[Scope]:
    """Every place of a shop, in the order of `Shop.places`."""
    kinds: tuple[tuple[ScopeKind, Sequence[str]], ...] = (
        ("category", shop.categories),
        ("country", shop.countries),
        ("product", shop.products),
    )
    return [Scope(), *(Scope(kind, name) for kind, names in kinds for name in names)]


def averages(windows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Each score, averaged over the windows that have it."""
    return {name: metrics.mean_known(np.array([window[name] for window in windows])) for name in windows[0]}


def run_stage(report: Callable[[str], None]) -> None:
    """Evaluates the trained model, and writes metrics, plots and the card."""
    shop, (name, numbers) = read_shop(DATA), recipe(PARAMETERS)
    try:
        found, total = evaluated(shop, numbers, report, thorough=name == "full")
    except TooShort as error:
        sys.exit(f"forecaster: {error}")
    write(found, total, card(shop, numbers, found))


def evaluated(
    shop: Shop, numbers: Mapping[str, Any], report: Callable[[str], None], *, thorough: bool
) -> tuple[dict[str, float], list[list[object]]]:
    """The scores of the windows, and the rows of the plot of the whole shop. Raises `TooShort`.

    thorough: whether more is measured than the gate asks
    """
    found: dict[str, float] = {}
    total: list[list[object]] = []
    windows = window_origins(shop)
    for name, origins in windows.items() if thorough else [("test", windows["test"])]:
        chosen = panel_products(shop, origins[0])
        scores = []
        for origin in origins:
            report(f"measuring in the {name} window from {shop.first_day + origin}")
            last = origin == shop.day_count - NEAR
            forecaster = Forecaster.load(MODEL) if last else fit_before(shop, origin, numbers, facts(DATA, numbers), NEAR)
            panel = product_panel(shop, chosen, origin)
            told = {"": told_by(forecaster, panel.names), "seasonal_naive.": baselines.seasonal_naive(panel, LEVELS)}
            if thorough:
                told["auto_ets."] = baselines.auto_ets(panel, LEVELS)
            came = shop.before(origin + NEAR)
            scores.append(window_scores(shop, chosen, panel, told) | (level_scores(forecaster, came) if thorough else {}))
            total += total_rows(name, forecaster, came)
        found |= {f"{name}.{score}": round(value, 6) for score, value in averages(scores).items()}
    return found, total


def total_rows(window: str, forecaster: Forecaster, shop: Shop) -> list[list[object]]:
    """What the whole shop sold in a window, beside its forecast."""
    points = forecaster.forecast(Scope(), UNITS_METRIC, NEAR, "day", (80,))
    came = shop.places(UNITS_METRIC)[0, -NEAR:].tolist()
    return [[window, str(p.date), value, p.mean, p.median, *p.bands[80]] for p, value in zip(points, came, strict=True)]


def write(found: Mapping[str, float], total: Sequence[Sequence[object]], text: str) -> None:
    """Writes metrics, plots and the card."""
    for folder in (METRICS_FILE.parent, PLOTS, CARD.parent):
        folder.mkdir(parents=True, exist_ok=True)
    METRICS_FILE.write_text(json.dumps({f"forecaster.{name}": value for name, value in found.items()}, indent=1) + "\n")
    with (PLOTS / "shop.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["window", "date", "actual", "mean", "median", "lower_80", "upper_80"], *total])
    CARD.write_text(text)


def card(shop: Shop, numbers: Mapping[str, Any], found: Mapping[str, float]) -> str:
    """The model card."""
    rows, levels = [], []
    for window in ("test", "validation"):
        for title, name in (("the forecaster", ""), ("AutoETS", "auto_ets."), ("the last week again", "seasonal_naive.")):
            if f"{window}.{name}mase" in found:
                rows.append(f"| {window}, {title} | " + " | ".join(f"{found[f'{window}.{name}{score}']:.3f}" for score in TITLES) + " |")
    for metric in METRICS:
        for kind in ("shop", "category", "country", "product"):
            if f"test.{metric}.{kind}.mase" in found:
                levels.append(
                    f"| {metric}, {kind} | " + " | ".join(f"{found[f'test.{metric}.{kind}.{score}']:.3f}" for score in PLACE) + " |"
                )
    return CARD_TEXT.format(
        first=shop.first_day,
        last=shop.first_day + shop.day_count - 1,
        products=len(shop.products),
        categories=len(shop.categories),
        countries=len(shop.countries),
        recipe=", ".join(f"{name} {value}" for name, value in numbers.items()),
        titles=" | ".join(TITLES.values()),
        rows="\n".join(rows),
        levels=LEVELS_TEXT.format(levels="\n".join(levels)) if levels else "",
    )


PLACE = ("mase", "rmsse", "cov80", "cov95", "week_cov80", "week_cov95")
LEVELS_TEXT = """
Every place that is forecast, in the test windows: what is counted, and of what kind of place.

| | MASE | RMSSE | cov80 | cov95 | cov80 of weeks | cov95 of weeks |
|---|---|---|---|---|---|---|
{levels}
"""
CARD_TEXT = """# The forecaster

How much the shop will sell, day by day for half a year: of all, of a category, to a country, of a product; in units and in pounds.

## Data

Daily sales from {first} to {last}: {products} products in {categories} categories, {countries} countries.
A day on which the whole shop sold nothing was a day of rest; a weekday that had no sale for eight weeks, and a holiday that was kept in
every year before, will be one.

## Recipe

{recipe}.

LightGBM, direct: one model of all steps for the mean (Tweedie) and one for each of seven quantiles (pinball loss), once for single products
and once for shop, categories and countries. Targets are relative to the level or to an exponential smoothing of each series, whichever did
better on twelve weeks held back; these also decide how far the mean leans on the smoothing. Means are reconciled so that all levels add up.
Revenue of a product is its units times its latest price. Bands of weeks and months come from the errors of past sums.

## Scores

Units a day of the 200 products of the highest revenue in the year before the first window; three windows of 28 days each, the recipe fitted
anew before each. MASE of the median, SQL over the deciles, share of open days inside the bands, RMSSE of the sum of the means.

| window | {titles} |
|---|---|---|---|---|---|
{rows}
{levels}
## Limits

* Two years of history hold one repetition of a season: what happens at Christmas or Easter is learned from a single one, or two.
* Prices, promotions and stock are not in the data. A product that is sold out looks like one that nobody wants.
* Single orders of thousands of pieces cannot be foreseen; more than ten times a product's level counts as ten times in its mean.
* A product that sold nothing for a year is forecast at zero. One that never sold begins as others of its category and price did.
"""
