"""The runtime of every process: server, channel, identity, errors, database, settings, telemetry."""
