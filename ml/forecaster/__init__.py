"""The forecaster's model."""
