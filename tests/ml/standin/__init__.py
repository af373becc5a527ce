"""A model as small as a model can be, in the rooms of the real ones: it answers a number, and says itself how good it is."""
