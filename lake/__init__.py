"""The lake: the columns, the manifest and the bucket of the clean data, which Spark writes and training and jobs read."""
