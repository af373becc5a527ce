"""A shop that sold nothing for years can be trained: what it has sold since leads, and what it knew before is not lost."""

from dataclasses import fields
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from ml.recommender.fitting import ages, fit_generators
from ml.recommender.history import PurchaseHistory, day_number
from ml.recommender.model import Recommender
from ml.recommender.request import RecommendationRequest
from ml.recommender.train import TrainingData, fit_before
from ml.recommender.windows import training_windows
from tests.ml.recommender.shop import OPENING, SMALL, habits, interactions

DAYS, PAUSE = 150, 4000
REOPENED = OPENING + timedelta(days=DAYS + PAUSE)


@pytest.fixture(scope="module")
def reopened() -> Recommender:
    """Ten newcomers bought lilac tea and gold coffee on the day of the reopening."""
    known = habits(DAYS)
    new = interactions((f"new{one}", product, DAYS + PAUSE, None) for one in range(10) for product in ("tea10", "coffee08"))
    return fit_before(TrainingData(pa.concat_tables([known.interactions, new]), known.names), REOPENED + timedelta(days=1), SMALL)


def test_what_was_bought_since_is_popular(reopened: Recommender) -> None:
    assert set(reopened.popular(limit=2).ids) == {"tea10", "coffee08"}


def test_customers_from_before_and_from_since_get_finite_scores(reopened: Recommender) -> None:
    for number in ("03", "new3", ""):
        ranking = reopened.recommend(RecommendationRequest(number), limit=25)
        assert len(ranking.ids) == 25
        assert np.isfinite(ranking.score).all()


def test_the_length_of_a_pause_changes_nothing() -> None:
    data = habits(DAYS)
    history = PurchaseHistory.from_table(data.interactions)
    years, weeks = (fit_generators(history, data.names, day_number(OPENING) + DAYS + pause, SMALL) for pause in (PAUSE, 60))
    for field in fields(years):
        # Last year's season is a matter of the calendar.
        if field.name != "season":
            np.testing.assert_array_equal(getattr(years, field.name), getattr(weeks, field.name))


def test_ages_are_days_to_the_cutoff_where_the_last_purchase_is_not_long_ago() -> None:
    history = PurchaseHistory.from_table(habits(DAYS).interactions)
    cutoff = int(history.day.max()) + 28
    assert ages(history, cutoff).tolist() == (cutoff - history.day).tolist()
    assert ages(history, cutoff + 1000).min() == 28


def test_a_pause_is_no_training_window() -> None:
    data = habits(DAYS)
    assert training_windows(data.interactions, data.names, day_number(OPENING) + DAYS + PAUSE, SMALL) == []
