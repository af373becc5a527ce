"""The stages measure a recommender beside its baselines, and write the files that the pipeline reads."""

import json
import shutil
from contextlib import chdir
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake.columns import PRODUCT_ID
from ml.recommender import evaluate, train
from ml.recommender.card import METRICS, VARIANTS, write_card
from ml.recommender.model import Recommender
from ml.recommender.train import TrainingData, fit_before
from tests.ml.recommender.shop import OPENING, SMALL, habits, interactions


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the stages have run with the full recipe; tests leave it as it is."""
    folder = tmp_path_factory.mktemp("pipeline")
    data = habits(220)
    # Each window has a first-time buyer.
    row = data.interactions.to_pylist()[0]
    first = [row | {"customer_number": f"first {days}", "date": OPENING + timedelta(days=days)} for days in (180, 210)]
    table = pa.Table.from_pylist([*data.interactions.to_pylist(), *first], data.interactions.schema)
    (folder / "data/clean").mkdir(parents=True)
    pq.write_table(table, folder / "data/clean/interactions.parquet")
    pq.write_table(pa.table({PRODUCT_ID: list(data.names), "name": list(data.names.values())}), folder / "data/clean/products.parquet")
    (folder / "data/clean/dataset.json").write_text(json.dumps({"sha256": "d0"}))
    with chdir(folder):
        select_recipe("full")
        train.run_stage(print)
        evaluate.run_stage(print)
    return folder


@pytest.fixture
def folder(evaluated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder, in which the test runs."""
    monkeypatch.chdir(shutil.copytree(evaluated, tmp_path, dirs_exist_ok=True))
    return tmp_path


def select_recipe(recipe: str) -> None:
    """Selects the recipe of the next stages."""
    Path("params.yaml").write_text(f"recipe: {recipe}\nrecommender: {{{recipe}: {SMALL.model_dump_json()}}}\n")


def test_the_stages_write_a_model_metrics_plots_and_a_card(folder: Path) -> None:
    model = Recommender.load(folder / "models/recommender")
    model.check()
    assert model.cutoff == OPENING + timedelta(days=220 - 28)
    metrics = json.loads((folder / "metrics/recommender.json").read_text())
    for window in ("validation", "test"):
        assert metrics[f"recommender.{window}.all.ndcg_at_20"] > metrics[f"recommender.{window}.all.popularity.ndcg_at_20"]
        assert metrics[f"recommender.{window}.no_history.users"] == 1
        assert {f"recommender.{window}.{key}" for key in ("new.ndcg_at_20", "all.own_purchases.recall_at_20")} <= set(metrics)
    assert {path.name for path in (folder / "plots/recommender").iterdir()} >= {"ndcg.csv", "importance_all.csv"}
    assert f"{metrics['recommender.test.all.ndcg_at_20']:.3f}" in (folder / "cards/recommender.md").read_text()


def test_a_card_says_what_could_not_be_measured() -> None:
    data = habits(220)
    # A shop that sold nothing for long has first-time buyers alone in its last window.
    counts = {f"test.{variant}.users": 0.0 for variant in VARIANTS}
    values = counts | {f"test.no_history.{name}_at_20": 0.25 for name in METRICS}
    card = write_card(data, data.test_date, {}, values, k=20, length=200)
    assert "– all, – new" in card
    assert "no history: **the recommender** | 0.250" in card


def test_the_quick_recipe_is_measured_in_the_test_window_only(folder: Path) -> None:
    metrics = json.loads((folder / "metrics/recommender.json").read_text())
    select_recipe("quick")
    evaluate.run_stage(print)
    quick = json.loads((folder / "metrics/recommender.json").read_text())
    assert quick == {name: value for name, value in metrics.items() if ".validation." not in name}
    assert "val. ndcg" not in (folder / "cards/recommender.md").read_text()


def test_the_gate_and_the_stage_measure_the_same(folder: Path) -> None:
    metrics = json.loads((folder / "metrics/recommender.json").read_text())
    again = evaluate.measure(folder / "data/clean", SMALL.model_dump())
    assert again == {name.removeprefix("recommender."): value for name, value in metrics.items() if ".test." in name}


def test_a_refit_uses_the_last_day(folder: Path) -> None:
    model = train.refit(folder / "data/clean", SMALL.model_dump())
    assert model.cutoff == OPENING + timedelta(days=220)
    assert "first 210" in model.customer_indices


def test_only_products_of_the_history_are_scored_and_each_counts_once() -> None:
    cutoff = OPENING + timedelta(days=150)
    rows = [("00", product, days, "France") for product, days in (("tea00", 151), ("tea00", 155), ("unheard of", 152))]
    table = pa.concat_tables([habits().interactions, interactions([*rows, ("first", "tea00", 160, "France")])])
    values = evaluate.window_metrics(fit_before(TrainingData(table, {}), cutoff, SMALL), TrainingData(table, {}))
    assert (values["all.users"], values["no_history.users"]) == (1, 1)
    assert values["all.recall_at_20"] in {0, 1}
