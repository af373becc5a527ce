"""The recommender's tests."""
