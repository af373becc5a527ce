"""Weights of the members of a mean of forecasts."""

import numpy as np
import pytest

from ml.forecaster.arrays import Floats
from ml.forecaster.mixing import select_weights

TRUTH = np.random.default_rng(1).normal(size=400)
NOISE = np.random.default_rng(2).normal(size=(4, 400))
KINDS = (("booster", "worse booster"), ("ets",), ("theta",))


def error(forecast: Floats) -> float:
    return float(np.abs(forecast - TRUTH).mean())


def test_the_best_of_each_kind_share_half_of_the_weight_where_none_is_much_better() -> None:
    forecasts = {"booster": TRUTH + NOISE[0], "worse booster": TRUTH + 1.05 * NOISE[0], "ets": TRUTH + NOISE[2], "theta": TRUTH + NOISE[3]}
    weights = select_weights(forecasts, error, KINDS)
    assert sum(weights.values()) == pytest.approx(1)
    assert min(weights[name] for name in ("booster", "ets", "theta")) >= 1 / 6


def test_a_member_that_is_much_worse_than_the_best_has_no_weight() -> None:
    forecasts = {"booster": TRUTH + 0.1 * NOISE[0], "ets": TRUTH + 3 * NOISE[1] + 5, "theta": TRUTH + 3 * NOISE[2] + 5}
    assert select_weights(forecasts, error, KINDS) == {"booster": 1.0}
