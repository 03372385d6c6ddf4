"""Shared encodings of the services: money, times, page tokens, cursors, status."""
