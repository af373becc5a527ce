"""Landing: what shops export becomes raw files of one form, which Spark reads."""
