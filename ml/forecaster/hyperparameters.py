"""Hyperparameters of the forecaster's models."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Hyperparameters:
    """Hyperparameters of a recipe."""

    rows: int
    """The number of (series, origin, step) triples to train on."""
    span: int
    """The number of last steps that they are drawn from."""
    rounds: int
    """Trees per model."""
    rate: float
    """The learning rate."""
    leaves: int
    """Leaves per tree."""
    seed: int
    threads: int = 1
