"""What is told of an explanation."""

from collections.abc import Sequence

from ml.forecaster.explain import Contribution

# What moves a day by less than this share of what moves it most is too small to name.
LEAST_SHARE = 0.05
OTHER = ("other", "All that moved it little, taken together")


def worth_telling(contributions: Sequence[Contribution]) -> list[Contribution]:
    """The contributions, the strongest first; the last one gathers what is too small to name."""
    least = LEAST_SHARE * max((abs(each.amount) for each in contributions), default=0.0)
    named = [each for each in contributions if abs(each.amount) >= least]
    small = sum(each.amount for each in contributions if abs(each.amount) < least)
    return [*named, Contribution(*OTHER, small)] if len(named) < len(contributions) else named
