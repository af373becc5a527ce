"""Tests of the models and of their pipeline."""
