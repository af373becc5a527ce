"""The recommender's model."""
