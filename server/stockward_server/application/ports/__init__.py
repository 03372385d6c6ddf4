"""What the use cases need of the world, as Protocols, and the types that these speak in: a module an area."""
