"""Queries of the read methods, and their caches."""
