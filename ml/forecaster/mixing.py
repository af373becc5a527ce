"""Weights of the members of a mean of forecasts, chosen by the errors on steps held back."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from ml.forecaster.arrays import Floats

# Members are added one at a time, each as often as it helps (Caruana et al., "Ensemble selection from libraries of models", 2004).
ADDITIONS = 12
# The held-back steps are few: the weights lean by this towards those of equal parts of the members chosen.
EQUAL_SHARE = 0.2
# Where the best models of different kinds are within this of the best member, equal parts of them have this share of the weight.
NEAR_BEST, KINDS_SHARE = 1.1, 0.5

Loss = Callable[[Floats], float]
"""The error of the forecasts of rows, shape (rows,)."""


def select_weights(forecasts: Mapping[str, Floats], loss: Loss, kinds: Iterable[Sequence[str]]) -> dict[str, float]:
    """The weights of the members that a mean of forecasts is made of, which add up to 1.

    forecasts: by member, shape (rows,) each
    kinds: members whose errors are alike; those that are no members are left out
    """
    greedy = _select_greedily(forecasts, loss)
    errors = {name: loss(made) for name, made in forecasts.items()}
    best = [min(members, key=errors.__getitem__) for kind in kinds if (members := [name for name in kind if name in forecasts])]
    near = [name for name in best if errors[name] <= NEAR_BEST * min(errors.values())]
    if len(near) < 2:
        return greedy
    return {
        name: (1 - KINDS_SHARE) * greedy.get(name, 0.0) + KINDS_SHARE * (name in near) / len(near)
        for name in dict.fromkeys([*greedy, *near])
    }


def mix(forecasts: dict[str, Floats], weights: dict[str, float]) -> Floats:
    """The weighted mean of the forecasts, of their shape."""
    total: Floats = np.sum([weight * forecasts[name] for name, weight in weights.items()], axis=0)
    return total


def _select_greedily(forecasts: Mapping[str, Floats], loss: Loss) -> dict[str, float]:
    names = list(forecasts)
    counts = dict.fromkeys(names, 0)
    total: Floats = np.zeros_like(forecasts[names[0]])
    best, best_counts = np.inf, dict(counts)
    for number in range(1, ADDITIONS + 1):
        errors = {name: loss((total + forecasts[name]) / number) for name in names}
        chosen = min(names, key=errors.__getitem__)
        counts[chosen] += 1
        total = total + forecasts[chosen]
        if errors[chosen] < best:
            best, best_counts = errors[chosen], dict(counts)
    used = {name: count for name, count in best_counts.items() if count}
    whole = sum(used.values())
    return {name: (1 - EQUAL_SHARE) * count / whole + EQUAL_SHARE / len(used) for name, count in used.items()}
