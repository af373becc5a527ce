"""The runtime, through the doors that services and their callers use."""
