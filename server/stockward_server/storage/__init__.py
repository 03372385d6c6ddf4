"""Implements the application's ports on PostgreSQL: converts rows to domain objects, and the committer writes them."""
