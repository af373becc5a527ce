"""Tests of both Compose stacks on a Docker engine, run by `make test-compose` only."""
