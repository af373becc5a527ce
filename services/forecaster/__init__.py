"""The forecaster service: forecasts of sales with their uncertainty, explanations and a backtest."""
