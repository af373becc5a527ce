"""The model registry: its client, the champion that services answer from, artifacts on disk, and the gate."""
