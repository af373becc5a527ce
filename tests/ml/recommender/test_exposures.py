"""Lists that were shown are learnt from: what was chosen from them, and neither where it stood nor how often it was shown."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ml.recommender.card import VARIANTS, write_card
from ml.recommender.exposures import BOUGHT, CLICKED, MAX_WEIGHT, ExposedList, exposed_lists
from ml.recommender.generators import OWN_PURCHASES
from ml.recommender.history import PurchaseHistory, day_number, rows_before
from ml.recommender.hyperparameters import RecommenderHyperparameters
from ml.recommender.model import Recommender
from ml.recommender.request import RecommendationRequest
from ml.recommender.train import TrainingData, fit_before
from ml.registry.artifact import digest
from tests.ml.recommender.shop import OPENING, SMALL, habits

DAYS, SIZE = 150, 6
CUTOFF = OPENING + timedelta(days=DAYS)
LEARNING = SMALL.model_copy(update={"least_exposures": 100, "trees": 2, "windows": 1})
PRODUCTS = [f"{taste}{number:02}" for taste in ("tea", "coffee") for number in range(12)]
# The probability that a shopper clicks on a product: whether they have bought it before, and the position.
Choice = Callable[[bool, int], float]
SCHEMA = pa.schema(
    {
        "recommendation_id": pa.string(),
        "customer_number": pa.string(),
        "slot": pa.string(),
        "time": pa.timestamp("us"),
        "product_id": pa.string(),
        "position": pa.int32(),
        "propensity": pa.float64(),
        "click_time": pa.timestamp("us"),
        "purchase_time": pa.timestamp("us"),
    }
)


def moment(day: float) -> datetime:
    """A moment so many days after the opening."""
    return datetime.combine(OPENING, datetime.min.time()) + timedelta(days=day)


def row(list_id: str, customer: str, product: str, position: int, day: float, *, propensity: float = 1.0, **times: Any) -> dict[str, Any]:
    return {
        "recommendation_id": list_id,
        "customer_number": customer,
        "slot": "home",
        "time": moment(day),
        "product_id": product,
        "position": position,
        "propensity": propensity,
        "click_time": None,
        "purchase_time": None,
        **times,
    }


def exposures(rows: Iterable[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), SCHEMA)


def show(data: TrainingData, choose: Choice, *, bought_first: float, lists: int = 900) -> pa.Table:
    """Lists of the last four weeks for the shop's customers, half of whose products they have bought before.

    bought_first: the share of lists in which these come first; the others are in random order
    """
    random, rows = np.random.default_rng(3), []
    history = PurchaseHistory.from_table(rows_before(data.interactions, OPENING + timedelta(days=DAYS - 28)))
    own = {str(number): history.product_ids[history.product[history.entries_of(i)]] for i, number in enumerate(history.customer_numbers)}
    for index in range(lists):
        customer, day = f"{index % 30:02}", DAYS - 27 + 26 * random.random()
        known = sorted({*own[customer].tolist()} & {*PRODUCTS})
        others = sorted({*PRODUCTS} - {*own[customer].tolist()})
        half = SIZE // 2
        products = [*random.choice(known, half, replace=False).tolist(), *random.choice(others, half, replace=False).tolist()]
        if random.random() >= bought_first:
            products = random.permutation(products).tolist()
        for position, product in enumerate(products, 1):
            clicks = random.random() < choose(product in known, position)
            times: dict[str, Any] = {"click_time": moment(day + 0.001)} if clicks else {}
            rows.append(row(f"r{index:04}", customer, product, position, day, **times))
    return exposures(rows)


def fit(data: TrainingData, hyperparameters: RecommenderHyperparameters = LEARNING) -> Recommender:
    return fit_before(data, CUTOFF, hyperparameters)


def bought_share(model: Recommender) -> float:
    """The share of products that customers have bought before among the first three of their lists."""
    first = [{*model.recommend(RecommendationRequest(f"{number:02}"), limit=3).ids} for number in range(30)]
    own = [{purchase.product_id for purchase in model.purchases(f"{number:02}")} for number in range(30)]
    return float(np.mean([len(ids & bought) / 3 for ids, bought in zip(first, own, strict=True)]))


@pytest.fixture(scope="module")
def data() -> TrainingData:
    """Purchases alone. They say that customers buy the same products again and again."""
    return habits(DAYS)


@pytest.fixture(scope="module")
def without(data: TrainingData) -> Recommender:
    return fit(data)


def test_lists_teach_what_purchases_do_not(data: TrainingData, without: Recommender) -> None:
    """Shown both, customers choose what they have not bought before. The blend knows it, which ranks where there is no ranker."""
    shown = show(data, lambda bought, _: not bought, bought_first=0.5)
    model = fit(replace(data, exposures=shown))
    assert model.exposed_lists == 900
    before, after = (bought_share(replace(each, ranker_all=None)) for each in (without, model))
    assert before > 0.9
    assert after < 0.6


def test_fewer_lists_than_the_recipe_asks_for_change_nothing(data: TrainingData, tmp_path: Path) -> None:
    shown = show(data, lambda bought, _: not bought, bought_first=0.5, lists=99)
    for name, exposed in (("without", None), ("few", shown)):
        fit(replace(data, exposures=exposed)).save(tmp_path / name)
    assert digest(tmp_path / "few") == digest(tmp_path / "without")


def test_what_happens_from_the_cutoff_on_changes_nothing(data: TrainingData, tmp_path: Path) -> None:
    shown = show(data, lambda bought, _: not bought, bought_first=0.5, lists=150)
    later = [
        row("later", "03", product, position, DAYS + 0.1, click_time=moment(DAYS + 0.2)) for position, product in enumerate(PRODUCTS[:4], 1)
    ]
    # What nobody had clicked on by then is bought after it.
    changed = [
        each | ({"purchase_time": moment(DAYS + 1), "click_time": moment(DAYS)} if each["click_time"] is None else {})
        for each in shown.to_pylist()
    ]
    for name, rows in (("as it was", shown.to_pylist()), ("changed", [*changed, *later])):
        model = fit(replace(data, exposures=exposures(rows)))
        assert model.exposed_lists == 150
        model.save(tmp_path / name)
    assert digest(tmp_path / "changed") == digest(tmp_path / "as it was")


def test_what_was_clicked_on_for_its_position_is_preferred_less(data: TrainingData) -> None:
    """Bought before counts against a product, but puts it further up, where it is seen more often."""
    shown = show(data, lambda bought, position: position**-1.5 * (0.4 if bought else 1), bought_first=0.8)
    # As if all had stood at one position.
    blind = shown.set_column(shown.column_names.index("position"), "position", pa.array([1] * shown.num_rows, pa.int32()))
    corrected, misled = (fit(replace(data, exposures=table)).weights_all[OWN_PURCHASES] for table in (shown, blind))
    assert corrected < 0.5 * misled


def test_the_card_says_how_many_lists_the_model_has_learnt_from(data: TrainingData) -> None:
    values = {f"test.{variant}.users": 0.0 for variant in VARIANTS}
    shown = show(data, lambda bought, _: not bought, bought_first=0.5, lists=120)
    with_lists, without = (
        write_card(replace(data, exposures=table), CUTOFF, {}, values, k=20, length=200, exposed=110) for table in (shown, None)
    )
    assert "120 lists that were shown led to a click or a purchase" in with_lists
    assert "has learnt from 110 of them" in with_lists
    assert "lists that were shown" not in without


def lists(rows: Iterable[dict[str, Any]], sales: TrainingData) -> list[ExposedList]:
    """The lists of the last four weeks."""
    start = OPENING + timedelta(days=DAYS - 28)
    history = PurchaseHistory.from_table(rows_before(sales.interactions, start))
    since = sales.interactions.slice(0, 0)
    return exposed_lists(exposures(rows), history, since, day_number(start), day_number(start) + 28)


def test_a_list_has_grades_and_clipped_weights_and_its_shopper_as_known_then(data: TrainingData) -> None:
    day = DAYS - 5.5
    bought: dict[str, Any] = {"click_time": moment(day + 0.01), "purchase_time": moment(day + 0.02)}
    found = lists(
        [
            row("first", "visitor", "tea01", 1, day, propensity=0.8, **bought),
            row("first", "visitor", "tea02", 2, day, propensity=0.02),
            # Before the purchase is known, and after it.
            row("soon", "visitor", "tea03", 1, day + 0.015, click_time=moment(day + 0.016)),
            row("soon", "visitor", "tea04", 2, day + 0.015),
            row("then", "visitor", "tea03", 1, day + 0.03, click_time=moment(day + 0.04)),
            row("then", "visitor", "tea01", 2, day + 0.03, propensity=0.8, purchase_time=moment(day + 0.05), click_time=moment(day + 0.05)),
            row("then", "visitor", "unknown", 3, day + 0.03),
            # Nothing followed from it, or from nothing else than all of it.
            row("idle", "visitor", "tea03", 1, day + 0.1),
            row("idle", "visitor", "tea04", 2, day + 0.1),
            row("alone", "visitor", "tea03", 1, day + 0.2, click_time=moment(day + 0.3)),
        ],
        data,
    )
    [then] = found
    index = {product: place for place, product in enumerate(sorted({*data.interactions["product_id"].to_pylist()} - {"new"}))}
    assert then.customer.product.tolist() == [index["tea01"]]
    assert then.customer.age.tolist() == [0]
    assert then.grades.tolist() == [CLICKED, BOUGHT]
    assert then.weights.tolist() == pytest.approx([1, 1.25])
    assert then.positions.tolist() == ["home 1", "home 2"]


def test_a_rare_product_weighs_more_up_to_a_bound(data: TrainingData) -> None:
    click: dict[str, Any] = {"click_time": moment(DAYS - 4)}
    [found] = lists([row("r", "03", "tea01", 1, DAYS - 5, propensity=0.001, **click), row("r", "03", "tea02", 2, DAYS - 5)], data)
    assert found.weights.tolist() == [MAX_WEIGHT, 1]
