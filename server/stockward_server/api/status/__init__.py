"""StatusService."""
