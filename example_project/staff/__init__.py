"""Staff of the example: an admin that opens to a password and an authenticator together, and to neither alone."""
