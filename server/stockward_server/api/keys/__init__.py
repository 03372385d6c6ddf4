"""KeyService."""
