"""The demo: a shop with data, models, products and accounts."""
