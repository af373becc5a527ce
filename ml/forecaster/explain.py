"""Explanations: what moved a forecast, by themes that people know, in amounts that add up."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ml.forecaster.panel import Numbers

# How features are told: a name for programs, words for people, and the features it gathers, by the beginnings of their names.
THEMES = (
    ("horizon", "How far ahead the day lies", ("step",)),
    ("kind", "What is forecast: its kind, category and price", ("kind", "metric", "category", "price")),
    ("last_year", "What sold at this time last year", ("cycle_",)),
    ("shop_trend", "How the whole shop is doing, and did at this time last year", ("total_",)),
    ("category_trend", "How the category is doing, and did at this time last year", ("category_",)),
    ("weekday", "What sells on this weekday", ("phase", "weekday", "smoothed")),
    ("time_of_year", "The time of the month and of the year", ("day_of_", "christmas", "easter")),
    ("closing_days", "Days nearby on which the shop is shut", ("rests_",)),
    ("recent_sales", "What sold lately, how much and how often", ("mean_", "selling_", "since_sale", "recent_", "trend", "level")),
    ("steadiness", "How steadily it sells, and since when", ("variation", "age")),
)
BLEND = ("blend", "What the smoothed sales and the forecasts above and below it add")
SHUT = ("shut", "The shop is shut")


@dataclass(frozen=True)
class Contribution:
    """What moved a forecast, and by how much."""

    feature: str
    text: str
    amount: float


def themes(names: Sequence[str]) -> list[int]:
    """The theme of each feature, by its place among THEMES: the longest beginning that fits."""
    beginnings = sorted(((start, place) for place, (_, _, starts) in enumerate(THEMES) for start in starts), key=lambda pair: -len(pair[0]))
    return [next(place for start, place in beginnings if name.startswith(start)) for name in names]


def amounts(logs: Numbers, baseline: Numbers, mean: Numbers) -> Numbers:
    """Amounts that add up to `mean` - `baseline`, from logarithms that add up to log(mean / baseline), shape of `logs` (rows, causes).

    Each cause gets its logarithm times the logarithmic mean of the two ends, which leaves nothing over (Ang, "The LMDI approach to
    decomposition analysis", Energy Policy, 2005).
    """
    change = np.log(mean / baseline)
    alike = np.abs(change) < 1e-9
    size = np.where(alike, baseline, (mean - baseline) / np.where(alike, 1.0, change))
    return logs * size[:, None]
