"""Access to a Hadoop cluster's web services."""
