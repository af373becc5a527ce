"""The forecaster: features, model, metrics, training and evaluation."""
