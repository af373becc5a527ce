"""What the recommender's tests can ask for: fitted ones."""

from datetime import timedelta

import pytest

from ml.recommender.model import Recommender
from ml.recommender.train import fit_before
from tests.ml.recommender.shop import OPENING, SMALL, checkerboard, habits

# With so many days there are windows to learn from, and days after them.
CUTOFF = OPENING + timedelta(days=120)


@pytest.fixture(scope="session")
def recommender() -> Recommender:
    """Knows the habits of the first 150 days."""
    return fit_before(habits(), OPENING + timedelta(days=150), SMALL)


@pytest.fixture(scope="session")
def board() -> Recommender:
    """Knows the checkerboard, whose days are too few for a ranker."""
    return fit_before(checkerboard(), OPENING + timedelta(days=7), SMALL)
