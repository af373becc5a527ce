"""The simulator: shoppers with hidden tastes use a running shop over its API, so that what it learns can be held against the truth."""
