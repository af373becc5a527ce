"""Raw sales to clean data, by Spark."""
