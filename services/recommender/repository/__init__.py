"""Every query of the recommender."""
