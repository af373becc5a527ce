"""Every query of the auth service, by the table that it is about."""
