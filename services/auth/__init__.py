"""Who may come in: users, their sign-ins, and the keys that prove them."""
