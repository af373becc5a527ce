"""The model registry: a client for MLflow, the champion that services answer from, artifacts on disk, and the gate."""
