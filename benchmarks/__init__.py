"""Benchmarks of HashiraMart against comparable systems."""
