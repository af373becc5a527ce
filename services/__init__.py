"""The services of the mesh, a room for each."""
