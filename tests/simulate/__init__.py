"""Tests of the simulator itself: its shoppers, the truth, and the estimates beside it."""
