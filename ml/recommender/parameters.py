"""The numbers of a recipe."""

from pydantic import BaseModel


class Parameters(BaseModel, frozen=True, extra="forbid"):
    """A recipe, as it stands in `params.yaml`; what is not said there, and for other shops' data, is as here."""

    seed: int = 1
    # The ranker learns from this many windows of 28 days before the cutoff, and from the same weeks of last year.
    windows: int = 2
    last_year: bool = False
    # How many customers of a window the blend is learnt from.
    blend_customers: int = 300
    # Products that were not bought, to each customer and window.
    negatives: int = 100
    trees: int = 120
    leaves: int = 31
    learning_rate: float = 0.05
    # Item-item: EASE's penalty, and how many neighbours of each product are kept.
    ease_penalty: float = 300.0
    item_neighbours: int = 200
    graph_dimensions: int = 128
    name_dimensions: int = 64
    # Implicit ALS: the weight of a purchase of today, the penalty, and the rounds.
    factors: int = 128
    factors_weight: float = 10.0
    factors_penalty: float = 1.0
    factors_rounds: int = 10
