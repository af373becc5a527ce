"""A recommender answers every customer, gives true reasons, and answers the same after loading."""

import json
import subprocess
import sys
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from lake.columns import DATE
from ml.recommender.model import Recommender, UnknownCustomer, UnknownProduct
from ml.recommender.ranking import FallbackStep, Ranking
from ml.recommender.reasons import ReasonKind, Source
from ml.recommender.request import Purchase, RecommendationRequest
from ml.recommender.train import TrainingData, fit_before
from ml.registry import artifact
from ml.registry.errors import InvalidArtifact
from tests.ml.processors import check_on_another_processor
from tests.ml.recommender.shop import OPENING, SMALL, checkerboard, habits


def ids(ranking: Ranking) -> list[str]:
    return ranking.ids


def test_the_withheld_diagonal_of_a_checkerboard_is_found(board: Recommender) -> None:
    for number in range(24):
        ranking = board.recommend(RecommendationRequest(f"c{number:02}", include_purchased=False))
        assert ids(ranking)[0] == f"p{number:02}"


def test_the_fallback_step_depends_on_what_is_known_of_the_customer(recommender: Recommender, board: Recommender) -> None:
    assert recommender.recommend(RecommendationRequest("04")).step is FallbackStep.RANKER
    assert recommender.recommend(RecommendationRequest(purchases=[bought("tea03")])).step is FallbackStep.RANKER
    assert board.recommend(RecommendationRequest("c04")).step is FallbackStep.BLEND
    assert recommender.recommend(RecommendationRequest(viewed=["tea03"])).step is FallbackStep.BASKET
    assert recommender.recommend(RecommendationRequest(basket=["tea03"], country="France")).step is FallbackStep.BASKET
    assert recommender.recommend(RecommendationRequest(country="France")).step is FallbackStep.COUNTRY_POPULARITY
    assert recommender.recommend(RecommendationRequest(country="Malta")).step is FallbackStep.POPULARITY
    assert recommender.recommend(RecommendationRequest()).step is FallbackStep.POPULARITY
    assert recommender.recommend(RecommendationRequest("nobody", viewed=["nothing"], country="Nowhere")).step is FallbackStep.POPULARITY


def test_every_fallback_step_ranks_all_products(recommender: Recommender) -> None:
    everything = sorted(recommender.product_indices)
    for request in (
        RecommendationRequest("04"),
        RecommendationRequest(viewed=["tea03"]),
        RecommendationRequest(country="France"),
        RecommendationRequest(),
    ):
        assert sorted(ids(recommender.recommend(request))) == everything


def test_a_longer_list_begins_like_the_shorter_one_and_scores_never_rise(recommender: Recommender) -> None:
    for request in (
        RecommendationRequest("04"),
        RecommendationRequest("04", include_purchased=False),
        RecommendationRequest(viewed=["tea03"]),
        RecommendationRequest(),
    ):
        long, short = recommender.recommend(request), recommender.recommend(request, limit=7)
        assert ids(short) == ids(long)[:7]
        assert (np.diff(long.score) <= 0).all()


def test_a_list_longer_than_the_candidates_is_continued_by_the_blend(recommender: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ids(recommender.recommend(RecommendationRequest("04"), limit=30))
    monkeypatch.setattr("ml.recommender.model.CANDIDATE_COUNT", 5)
    ranking = recommender.recommend(RecommendationRequest("04"), limit=30)
    assert ranking.step is FallbackStep.RANKER
    assert sorted(ids(ranking)) == sorted(whole)
    assert (np.diff(ranking.score) <= 0).all()


def test_only_allowed_products_are_recommended(recommender: Recommender) -> None:
    allowed = np.array([product.startswith("coffee") for product in recommender.product_indices])
    for request in (
        RecommendationRequest("04"),
        RecommendationRequest(viewed=["tea03"]),
        RecommendationRequest(country="France"),
        RecommendationRequest(),
    ):
        ranking = recommender.recommend(request, allowed, limit=10)
        assert len(ranking) == 10
        assert all(product.startswith("coffee") for product in ids(ranking))
    assert len(recommender.recommend(RecommendationRequest("04"), np.zeros(len(allowed), bool))) == 0


def test_purchased_products_are_recommended_only_if_included(recommender: Recommender) -> None:
    held = {purchase.product_id for purchase in recommender.purchases("04")}
    assert held & set(ids(recommender.recommend(RecommendationRequest("04"), limit=5)))
    assert not held & set(ids(recommender.recommend(RecommendationRequest("04", include_purchased=False))))


def test_the_basket_changes_the_list_and_is_not_recommended(recommender: Recommender) -> None:
    ranking = recommender.recommend(RecommendationRequest(basket=["tea03", "coffee01"]))
    assert not {"tea03", "coffee01"} & set(ids(ranking))
    assert (
        recommender.recommend(RecommendationRequest("04", basket=["coffee01"])).score.tolist()
        != recommender.recommend(RecommendationRequest("04")).score.tolist()
    )


def test_an_unknown_customer_who_views_tea_is_recommended_tea(recommender: Recommender) -> None:
    assert not any(product.startswith("coffee") for product in ids(recommender.recommend(RecommendationRequest(viewed=["tea03"]), limit=8)))
    assert not any(product.startswith("tea") for product in ids(recommender.recommend(RecommendationRequest(carted=["coffee03"]), limit=8)))


def test_a_purchase_that_is_not_in_the_history_counts_at_once(recommender: Recommender) -> None:
    today = RecommendationRequest("00", purchases=[bought("tea05")], include_purchased=False)
    assert "tea05" in ids(recommender.recommend(RecommendationRequest("00", include_purchased=False)))
    assert "tea05" not in ids(recommender.recommend(today))


def test_a_purchase_that_is_in_the_history_counts_once(recommender: Recommender) -> None:
    again, known = (
        recommender.customer(RecommendationRequest("04", purchases=recommender.purchases("04"))),
        recommender.customer(RecommendationRequest("04")),
    )
    assert (again.product.tolist(), again.age.tolist()) == (known.product.tolist(), known.age.tolist())


def test_purchases_after_the_history_have_age_zero(recommender: Recommender) -> None:
    soon, late = (recommender.customer(RecommendationRequest(purchases=[bought("tea05", days)])) for days in (0, 500))
    assert soon.age.tolist() == late.age.tolist() == [0]
    assert recommender.customer(RecommendationRequest(purchases=[bought("tea05", -10)])).age.tolist() == [10]


def test_reasons_are_true(recommender: Recommender) -> None:
    held = {purchase.product_id for purchase in recommender.purchases("04")}
    for repeats in (True, False):
        for one in recommender.recommend(RecommendationRequest("04", include_purchased=repeats)).recommendations(range(10)):
            if one.reason.kind is ReasonKind.BOUGHT_BEFORE:
                assert one.product_id in held
            if one.reason.kind is ReasonKind.BECAUSE_YOU_BOUGHT:
                assert one.reason.product_ids
                assert set(one.reason.product_ids) <= held


def test_purchases_views_and_popularity_are_given_as_reasons(recommender: Recommender) -> None:
    kinds = {one.reason.kind for one in recommender.recommend(RecommendationRequest("04")).recommendations(range(10))}
    assert ReasonKind.BOUGHT_BEFORE in kinds
    (first, *_) = recommender.recommend(RecommendationRequest(viewed=["tea03"])).recommendations([0])
    assert (first.reason.source, first.reason.kind, first.reason.product_ids) == (
        Source.ITEM_ITEM,
        ReasonKind.BECAUSE_OF_BASKET,
        ("tea03",),
    )
    assert first.reason.text({"tea03": "white tea"}.__getitem__) == "Because of your interest in white tea."
    (first, *_) = recommender.popular("France").recommendations([0])
    assert first.reason.kind is ReasonKind.POPULAR_IN_COUNTRY
    (first, *_) = recommender.popular().recommendations([0])
    assert (first.reason.kind, first.reason.text(str)) == (ReasonKind.POPULAR, "It sells well at present.")


def test_a_product_that_everybody_bought_recently_is_popular(recommender: Recommender) -> None:
    assert ids(recommender.popular(limit=1)) == ["new"]


def test_similar_products_have_the_same_buyers(recommender: Recommender) -> None:
    ranking = recommender.similar("tea03")
    assert "tea03" not in ids(ranking)
    first = ranking.recommendations([0])[0]
    assert first.product_id.startswith("tea")
    assert (first.reason.kind, first.reason.product_ids) == (ReasonKind.BOUGHT_TOGETHER, ("tea03",))
    with pytest.raises(UnknownProduct):
        recommender.similar("nothing")


def test_a_product_with_few_buyers_is_similar_to_those_with_a_similar_name() -> None:
    data = habits()
    lonely = TrainingData(data.interactions.filter(data.interactions["product_id"].to_numpy() != "tea00"), data.names)
    rows = [*lonely.interactions.to_pylist(), {**lonely.interactions.to_pylist()[0], "product_id": "tea00"}]
    few = fit_before(
        TrainingData(lonely.interactions.from_pylist(rows, lonely.interactions.schema), data.names), OPENING + timedelta(150), SMALL
    )
    first = few.similar("tea00").recommendations([0])[0]
    assert first.reason.kind is ReasonKind.SIMILAR
    assert "red" in data.names[first.product_id] or "tea" in data.names[first.product_id]


def test_purchases_are_listed_latest_first(recommender: Recommender) -> None:
    days = [purchase.day for purchase in recommender.purchases("04")]
    assert days == sorted(days, reverse=True)
    assert days[0] > OPENING + timedelta(days=140)
    with pytest.raises(UnknownCustomer):
        recommender.purchases("nobody")


def test_purchases_after_the_cutoff_change_nothing(earlier: Recommender, tmp_path: Path) -> None:
    data, cutoff = habits(), OPENING + timedelta(days=120)
    earlier.save(tmp_path / "as it was")
    rows = data.interactions.to_pylist()
    changed = [row | ({"product_id": "tea01", "quantity": 99, "country": "Malta"} if row[DATE] >= cutoff else {}) for row in rows]
    another = rows[0] | {"customer_number": "another", "product_id": "another"}
    changed += [another | {DATE: cutoff + timedelta(days=offset)} for offset in (0, 9)]
    table = data.interactions.from_pylist(changed, data.interactions.schema)
    fit_before(TrainingData(table, data.names), cutoff, SMALL).save(tmp_path / "changed")
    assert artifact.digest(tmp_path / "as it was") == artifact.digest(tmp_path / "changed")


def test_purchases_on_the_last_day_before_the_cutoff_count(earlier: Recommender, tmp_path: Path) -> None:
    earlier.save(tmp_path / "120")
    fit_before(habits(), OPENING + timedelta(days=121), SMALL).save(tmp_path / "121")
    assert artifact.digest(tmp_path / "120") != artifact.digest(tmp_path / "121")


def test_the_order_of_rows_does_not_change_the_model(recommender: Recommender, tmp_path: Path) -> None:
    data = habits()
    order = np.random.default_rng(3).permutation(data.interactions.num_rows)
    fit_before(TrainingData(data.interactions.take(order), data.names), OPENING + timedelta(days=150), SMALL).save(tmp_path / "again")
    recommender.save(tmp_path / "model")
    assert artifact.digest(tmp_path / "again") == artifact.digest(tmp_path / "model")


def test_a_loaded_model_answers_exactly_like_the_saved_one(recommender: Recommender, board: Recommender, tmp_path: Path) -> None:
    requests = [
        RecommendationRequest("04"),
        RecommendationRequest("04", include_purchased=False),
        RecommendationRequest(viewed=["tea03"]),
        RecommendationRequest(country="France"),
        RecommendationRequest(),
    ]
    for name, model in (("habits", recommender), ("board", board)):
        model.save(tmp_path / name)
        loaded = Recommender.load(tmp_path / name)
        loaded.check()
        for request in requests:
            answer, again = model.recommend(request), loaded.recommend(request)
            assert again.recommendations(range(len(again))) == answer.recommendations(range(len(answer)))


def test_a_model_that_does_not_reproduce_its_examples_is_invalid(recommender: Recommender, tmp_path: Path) -> None:
    recommender.save(tmp_path / "model")
    loaded = Recommender.load(tmp_path / "model")
    with pytest.raises(InvalidArtifact, match="does not answer"):
        replace(loaded, weights_all=-loaded.weights_all, ranker_all=None).check()


def test_examples_whose_ties_are_broken_otherwise_are_the_same(recommender: Recommender) -> None:
    examples = {"04": recommender.recommend(RecommendationRequest("04"), limit=11).ids[1:][::-1]}
    replace(recommender, facts={**recommender.facts, "examples": examples}).check()


def test_a_model_is_valid_on_another_processor(recommender: Recommender, board: Recommender, tmp_path: Path) -> None:
    for name, model in (("habits", recommender), ("board", board)):
        model.save(tmp_path / name)
        check_on_another_processor("ml.recommender.model.Recommender", tmp_path / name)


def test_an_artifact_with_other_features_or_other_bytes_is_invalid(recommender: Recommender, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    recommender.save(folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["facts"]["features"].pop()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InvalidArtifact, match="other features"):
        Recommender.load(folder)
    arrays = folder / "arrays.npz"
    arrays.write_bytes(arrays.read_bytes()[:-1] + b"x")
    with pytest.raises(InvalidArtifact, match="arrays.npz"):
        Recommender.load(folder)


def test_serving_imports_no_training_library() -> None:
    absent = "implicit", "mlflow", "pandas", "pydantic_settings", "ruamel", "sklearn", "threadpoolctl"
    program = f"import sys; sys.modules.update(dict.fromkeys({absent})); import ml.recommender.model"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_model_fitted_on_very_little_still_answers() -> None:
    tiny = fit_before(checkerboard(2 * 2), OPENING + timedelta(days=7), SMALL)
    assert tiny.recommend(RecommendationRequest("c00", include_purchased=False)).step is FallbackStep.BLEND
    with pytest.raises(ValueError, match="nobody bought"):
        fit_before(checkerboard(), date(2019, 1, 1), SMALL)


def bought(product: str, days: int = 0) -> Purchase:
    """One piece, so many days after the end of the history."""
    return Purchase(product, OPENING + timedelta(days=150 + days), 1)
