"""Metrics of ranked lists, on lists whose metrics are plain to see."""

from math import log2

import pytest

from ml.recommender.metrics import ndcg, recall, scores


def test_ndcg_is_one_for_a_perfect_list_and_zero_for_a_wrong_one() -> None:
    assert ndcg(["a", "b", "c"], {"a", "b"}, 3) == 1
    assert ndcg(["a"], {"a", "b", "c"}, 1) == 1
    assert ndcg(["x", "y"], {"a"}, 2) == 0
    assert ndcg([], {"a"}, 2) == 0


def test_ndcg_discounts_by_rank() -> None:
    assert ndcg(["x", "a"], {"a"}, 20) == pytest.approx(1 / log2(3))
    assert ndcg(["a", "x", "b"], {"a", "b"}, 20) == pytest.approx((1 + 1 / 2) / (1 + 1 / log2(3)))


def test_products_beyond_k_do_not_count() -> None:
    values = scores({"ann": ["x", "a"]}, {"ann": {"a"}}, catalogue=4, k=1)
    assert values == {"ndcg_at_1": 0, "recall_at_1": 0, "hit_rate_at_1": 0, "coverage_at_1": 1 / 4}


def test_scores_are_averaged_over_all_users_including_those_without_a_list() -> None:
    values = scores({"ann": ["a", "b"]}, {"ann": {"a", "c"}, "bob": {"b"}}, catalogue=10, k=2)
    assert values["recall_at_2"] == 1 / 4
    assert values["hit_rate_at_2"] == 1 / 2
    assert values["coverage_at_2"] == 2 / 10
    with pytest.raises(ValueError, match="no user"):
        scores({}, {}, catalogue=10, k=2)


def test_recall_is_measured_on_the_whole_list() -> None:
    assert recall({"ann": {"a", "b", "c"}}, {"ann": {"c", "d"}, "bob": {"a"}}) == 1 / 4
