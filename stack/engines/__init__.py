"""The engines: how each is installed, configured and started."""
