"""Tests of the statistics of the closed loop."""
