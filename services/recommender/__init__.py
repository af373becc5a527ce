"""The recommender service: recommendations, and the events that users produce."""
