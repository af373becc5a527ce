"""A stand-in for a model, with the same modules: it answers with a number, and scores itself as its recipe says."""
