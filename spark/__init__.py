"""The ETL: makes clean data of raw sales with Spark."""
