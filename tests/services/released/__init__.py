"""The tables that the last released version uses."""
