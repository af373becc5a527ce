"""Where HashiraMart runs: as plain processes on one machine."""
