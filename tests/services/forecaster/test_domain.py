"""Which contributions of an explanation are named."""

import pytest

from services.forecaster.domain import named_count


@pytest.mark.parametrize(("amounts", "count"), [([], 0), ([0.0], 1), ([100.0, -50.0, 5.0], 3), ([-100.0, 5.0, -4.9, 1.0], 2)], ids=str)
def test_contributions_below_a_share_of_the_strongest_are_not_named(amounts: list[float], count: int) -> None:
    assert named_count(amounts) == count
