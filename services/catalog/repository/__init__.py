"""Every query of the catalog service: of single products, lists, the vocabulary and changes."""
