"""The numbers of a recipe."""

from pydantic import BaseModel


class Parameters(BaseModel, frozen=True, extra="forbid"):
    """A recipe, as it stands in `params.yaml`."""

    seed: int
    # The ranker learns from this many windows of 28 days before the cutoff, and from the same weeks of last year.
    windows: int
    last_year: bool
    # How many customers of a window the blend is learnt from.
    blend_customers: int
    # Products that were not bought, to each customer and window.
    negatives: int
    trees: int
    leaves: int
    learning_rate: float
    # Item-item: EASE's penalty, and how many neighbours of each product are kept.
    ease_penalty: float
    item_neighbours: int
    graph_dimensions: int
    name_dimensions: int
    # Implicit ALS: the weight of a purchase of today, the penalty, and the rounds.
    factors: int
    factors_weight: float
    factors_penalty: float
    factors_rounds: int
