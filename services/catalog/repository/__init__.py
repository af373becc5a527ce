"""Every query of the catalog service: of single products, lists, categories, the vocabulary and changes."""
