"""What the ETL promises, as tests."""
