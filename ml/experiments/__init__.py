"""The statistics of the closed loop: what experiments show, and what the exposure log says of lists that nobody was shown."""
