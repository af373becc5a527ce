"""The auth service: users, their sign-ins, and the keys that sign access tokens."""
