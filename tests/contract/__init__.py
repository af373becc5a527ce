"""Rules over all contracts."""
