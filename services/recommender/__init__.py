"""The recommender: what a customer will want next, and what customers do."""
