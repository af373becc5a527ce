"""Scenarios: what a request supposes, as the model takes it, and the forecast beside the one without it."""

from collections.abc import Iterable
from datetime import timedelta

import numpy as np

from hashiramart.forecaster.v1 import forecaster_pb2
from mesh.errors import FailedPrecondition, FieldViolation, InvalidArgument
from ml.forecaster.arrays import Floats, Integers
from ml.forecaster.forecasts import REVENUE_METRIC, UNITS_METRIC, Metric, Scope
from ml.forecaster.model import HORIZON, Forecaster
from ml.forecaster.scenario import RANGE, Adjustment, PriceChange, Scenarios
from services.forecaster import messages
from services.forecaster.calendar_messages import day_of
from services.forecaster.scope_errors import scope_errors
from services.forecaster.series import product_indices

_LEFT_OUT = "What the products take from each other is left out, and so is what an advertisement does beyond the price."


class ScenarioReader:
    """Reads the scenario of a request for a model."""

    def __init__(self, model: Forecaster, scenarios: Scenarios) -> None:
        self._model = model
        self._scenarios = scenarios
        self._indices = product_indices(model.scopes)

    def price_changes(self, scenario: forecaster_pb2.Scenario) -> list[PriceChange]:
        """The prices of a scenario. Raises `InvalidArgument`, `NotFound`, `FailedPrecondition`."""
        found = list[PriceChange]()
        for index, price in enumerate(scenario.price_changes):
            field = f"scenario.price_changes[{index}]"
            found.append(self._change(field, price, 1 + price.change_percent / 100))
        for index, promotion in enumerate(scenario.promotions):
            field = f"scenario.promotions[{index}]"
            found.append(self._change(field, promotion, 1 - promotion.discount_percent / 100))
        return found

    def open_days(self, scenario: forecaster_pb2.Scenario) -> Floats:
        """0 for a day on which the scenario closes the shop, else 1, shape (HORIZON,). Raises `InvalidArgument`."""
        found = np.ones(HORIZON)
        for index, text in enumerate(scenario.closed_dates):
            found[self._offset(f"scenario.closed_dates[{index}]", text)] = 0.0
        return found

    def _change(self, field: str, part: forecaster_pb2.ScenarioPrice | forecaster_pb2.ScenarioPromotion, ratio: float) -> PriceChange:
        first = self._offset(f"{field}.first_date", part.first_date) if part.first_date else 0
        last = self._offset(f"{field}.last_date", part.last_date) if part.last_date else HORIZON - 1
        if last < first:
            raise InvalidArgument("last_date is before first_date", field=f"{field}.last_date")
        return PriceChange(self._products(field, part.product_id, part.category), slice(first, last + 1), ratio)

    def _products(self, field: str, product_id: str, category: str) -> Integers:
        if product_id and category:
            raise InvalidArgument("a price is that of a product or of a category, not of both", field=f"{field}.category")
        with scope_errors():
            if category:
                return np.array([self._indices[name] for name in self._model.products_in(category)])
            if not product_id:
                return np.arange(len(self._indices))
            self._model.series(Scope("product", product_id), UNITS_METRIC)
        index = self._indices[product_id]
        if not self._scenarios.is_sold[index]:
            message = "product '{id}' was never sold, so that nothing is known of what a price would do"
            wrong = FieldViolation(f"{field}.product_id", "was never sold")
            raise FailedPrecondition("NO_SALES_HISTORY", message, violations=[wrong], id=product_id)
        return np.array([index])

    def _offset(self, field: str, text: str) -> int:
        """The position of a day among those to come."""
        first = self._model.through + timedelta(days=1)
        offset = (day_of(field, text) - first).days
        if not 0 <= offset < HORIZON:
            last = first + timedelta(days=HORIZON - 1)
            message = "a scenario is of the days that are forecast, {first_date} to {last_date}"
            raise InvalidArgument(message, field=field, first_date=first, last_date=last)
        return offset


def write_scenario(
    request: forecaster_pb2.ForecastSalesRequest,
    model: Forecaster,
    scenarios: Scenarios,
    base: Adjustment,
    response: forecaster_pb2.ForecastSalesResponse,
) -> None:
    """Adds the forecast of the request's scenario. Raises `InvalidArgument`, `NotFound`, `FailedPrecondition`.

    base: what the calendar makes of the forecast without the scenario
    """
    reader = ScenarioReader(model, scenarios)
    changes, open_days = reader.price_changes(request.scenario), reader.open_days(request.scenario)
    scope, metric, days = messages.scope(request), messages.metric(request), messages.horizon_days(request)
    both, closed = [*base.changes, *changes], base.open_days * open_days
    pairs = [
        (scenarios.adjustment(both, closed, level), scenarios.adjustment(base.changes, base.open_days, level)) for level in (0.5, *RANGE)
    ]
    with scope_errors():
        factors = pairs[0][0].factors(scope, metric)
    points = model.forecast(scope, metric, days, messages.granularity(request), messages.levels(request), factors)
    message = response.scenario
    messages.write_points(points, message)
    differences: tuple[tuple[Metric, forecaster_pb2.ScenarioDifference], ...] = (
        (UNITS_METRIC, message.units),
        (REVENUE_METRIC, message.revenue),
    )
    for name, of in differences:
        mean = model.series(scope, name).mean
        found = [float((mean * (new.factors(scope, name) - old.factors(scope, name)))[:days].sum()) for new, old in pairs]
        of.mean, of.lower, of.upper = found[0], min(found), max(found)
    message.changed_product_count, message.unseen_product_count = scenarios.unseen(changes)
    message.statement = _statement(message, request.scenario.closed_dates, response.closed_dates)


def _statement(message: forecaster_pb2.ScenarioForecast, closed: Iterable[str], already: Iterable[str]) -> str:
    parts = list[str]()
    changed, unseen = message.changed_product_count, message.unseen_product_count
    if unseen:
        parts.append(f"{unseen} of {changed} products have never had such a price: for them the effect is extrapolated.")
    elif changed:
        parts.append(f"All {changed} products whose price changes have had such a price.")
    if changed:
        parts.append(_LEFT_OUT)
    if new := sorted(set(closed) - set(already)):
        parts.append(f"On {len(new)} more closed days nothing is sold, and no sale is moved to other days.")
    return " ".join(parts) or "The scenario changes nothing."
