"""Tests of the lake's formats and of its bucket."""
