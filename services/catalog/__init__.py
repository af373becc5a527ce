"""The catalogue: products, found, changed and watched."""
