"""The model card of the forecaster."""

from collections.abc import Mapping
from typing import Any

from ml.forecaster.forecasts import METRICS
from ml.forecaster.shop import Shop
from ml.forecaster.shop_scores import SCOPE_SCORES

# The scores in the tables of the card, with their titles.
PANEL_SCORES = {
    "mase": "MASE",
    "sql": "SQL",
    "below10": "below q10",
    "below50": "below q50",
    "below90": "below q90",
    "below975": "below q97.5",
    "cov80": "cov80",
    "cov95": "cov95",
    "total_rmsse": "RMSSE of the total",
}
_MODELS = (("the forecaster", ""), ("AutoETS", "auto_ets."), ("the last week again", "seasonal_naive."))
_SCOPES_TEXT = """
All scopes in the test windows, by metric and kind of scope.

| | MASE | RMSSE | cov80 | cov95 | cov80 of weeks | cov95 of weeks |
|---|---|---|---|---|---|---|
{rows}
"""
_CARD_TEXT = """# The forecaster

Forecasts of daily sales for half a year: of the whole shop, a category, a country or a product; in units and in pounds.

## Data

Daily sales from {first} to {last}: {products} products in {categories} categories, {countries} countries.
A day on which the whole shop sold nothing counts as closed. A weekday without a sale for eight weeks, and a holiday that was observed in
every year of the history, are expected to be closed.

## Recipe

{recipe}.

LightGBM, direct: one model of all steps for the mean (Tweedie) and one for each of seven quantiles (pinball loss), once for single products
and once for shop, categories and countries. Targets are relative to the level or to the exponential smoothing of each series, whichever did
better on twelve weeks held back; these also decide the weight of the smoothing in the mean. Means are reconciled: all levels add up.
The revenue of a product is its units times its latest price. Intervals of weeks and months come from the errors of past sums.

## Scores

Daily units of the 200 products with the highest revenue in the year before the first window; three windows of 28 days each, the recipe
fitted anew before each. MASE of the median, SQL over the deciles, share of open days inside the intervals, RMSSE of the sum of the means.

A quantile that is right has its level as the share of days below it. Days without a sale tie with several quantiles and count in
proportion; intervals that begin at zero hold all of them, and so more than their share.

| window | {titles} |
|---|---|---|---|---|---|---|---|---|---|
{rows}
{levels}
## Limits

* Two years of history hold one repetition of a season: the effect of Christmas or Easter is learned from one or two of them.
* Prices, promotions and stock are not in the data. A product that is sold out looks like one without demand.
* Single orders of thousands of pieces cannot be forecast; more than ten times a product's level counts as ten times in its mean.
* A product without a sale for a year is forecast at zero. One that never sold starts as others of its category and price did.
"""


def write_card(shop: Shop, hyperparameters: Mapping[str, Any], scores: Mapping[str, float]) -> str:
    """The text of the card. scores: by window and name, as `test.mase`"""
    scope_rows = _scope_rows(scores)
    return _CARD_TEXT.format(
        first=shop.first_day,
        last=shop.first_day + shop.day_count - 1,
        products=len(shop.products),
        categories=len(shop.categories),
        # A shop whose sales name no countries has one without a name.
        countries=sum(map(bool, shop.countries)),
        recipe=", ".join(f"{name} {value}" for name, value in hyperparameters.items()),
        titles=" | ".join(PANEL_SCORES.values()),
        rows="\n".join(_panel_rows(scores)),
        levels=_SCOPES_TEXT.format(rows="\n".join(scope_rows)) if scope_rows else "",
    )


def _panel_rows(scores: Mapping[str, float]) -> list[str]:
    """A row of the table for each window and model that was scored."""
    return [
        f"| {window}, {title} | " + " | ".join(f"{scores[f'{window}.{model}{name}']:.3f}" for name in PANEL_SCORES) + " |"
        for window in ("test", "validation")
        for title, model in _MODELS
        if f"{window}.{model}mase" in scores
    ]


def _scope_rows(scores: Mapping[str, float]) -> list[str]:
    """A row of the table for each metric and kind of scope that was scored in the test windows."""
    return [
        f"| {metric}, {kind} | " + " | ".join(f"{scores[f'test.{metric}.{kind}.{name}']:.3f}" for name in SCOPE_SCORES) + " |"
        for metric in METRICS
        for kind in ("shop", "category", "country", "product")
        if f"test.{metric}.{kind}.mase" in scores
    ]
