"""The transport of the mesh: calls, and what strangers send."""
