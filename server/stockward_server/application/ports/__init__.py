"""The interfaces that the use cases need, as Protocols, with their types: one module an area."""
