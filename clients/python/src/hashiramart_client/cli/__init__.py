"""The command line `hashiramart`: each RPC that the contracts bind to REST is a command, called over the gateway."""
