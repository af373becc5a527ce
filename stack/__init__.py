"""The stack as programs: engines and our own processes, on one machine or in containers."""
