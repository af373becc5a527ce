"""REST from the contracts."""
