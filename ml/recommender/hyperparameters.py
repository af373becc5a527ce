"""RecommenderHyperparameters of the recommender."""

from pydantic import BaseModel


class RecommenderHyperparameters(BaseModel, frozen=True, extra="forbid"):
    """A recipe of `params.yaml`. The defaults hold for other shops' data."""

    seed: int = 1
    windows: int = 2
    """The number of 28-day windows before the cutoff from which the blend and the rankers are fitted."""
    last_year: bool = False
    """Whether the same weeks of the previous year are one more window."""
    blend_customers: int = 300
    """The number of customers per window from which the blend is fitted."""
    negatives: int = 100
    """The number of products that were not bought, per customer and window, from which the rankers are fitted."""
    trees: int = 120
    leaves: int = 31
    learning_rate: float = 0.05
    ease_penalty: float = 300.0
    """The L2 penalty of EASE."""
    item_neighbours: int = 200
    """The number of neighbours of each product that are kept in the item-item matrix."""
    graph_dimensions: int = 128
    name_dimensions: int = 64
    factors: int = 128
    """The number of factors of implicit ALS."""
    factors_weight: float = 10.0
    """The confidence of implicit ALS in a purchase of today."""
    factors_penalty: float = 1.0
    """The L2 penalty of implicit ALS."""
    factors_rounds: int = 10
    """The number of iterations of implicit ALS."""
    least_exposures: int = 500
    """The number of lists that were shown and led to a click or a purchase; with fewer, the blend learns from purchases alone."""
