"""The training pipeline: the stages that DVC runs, and what they share."""
