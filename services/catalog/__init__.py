"""The catalog service: products, their search, and the feed of their changes."""
