"""Fitted recommenders, shared by the tests."""

from datetime import timedelta

import pytest

from ml.recommender.model import Recommender
from ml.recommender.train import fit_before
from tests.ml.recommender.shop import OPENING, SMALL, checkerboard, habits


@pytest.fixture(scope="session")
def recommender() -> Recommender:
    """Fitted on the habits of 150 days."""
    return fit_before(habits(), OPENING + timedelta(days=150), SMALL)


@pytest.fixture(scope="session")
def earlier() -> Recommender:
    """Fitted on the same habits of the first 120 days."""
    return fit_before(habits(), OPENING + timedelta(days=120), SMALL)


@pytest.fixture(scope="session")
def board() -> Recommender:
    """Fitted on the checkerboard, whose days are too few for a ranker."""
    return fit_before(checkerboard(), OPENING + timedelta(days=7), SMALL)
