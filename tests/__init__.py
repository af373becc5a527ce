"""What HashiraMart promises, as tests."""
