"""Authentication and authorization: who calls, and what that caller may do."""
