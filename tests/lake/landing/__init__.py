"""Landing: what is read of the files that shops export."""
