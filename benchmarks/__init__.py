"""How fast HashiraMart is, and against whom."""
