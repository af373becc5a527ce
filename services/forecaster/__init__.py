"""The forecaster: how much the shop will sell, how sure that is, and why."""
