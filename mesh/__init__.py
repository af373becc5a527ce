"""What every process needs to join the mesh."""
