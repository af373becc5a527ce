"""The processes of the local stack: their definitions, order, readiness and supervision."""
