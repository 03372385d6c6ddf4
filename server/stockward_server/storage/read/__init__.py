"""Queries behind the reading methods, and their caches."""
