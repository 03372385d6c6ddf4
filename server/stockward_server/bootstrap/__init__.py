"""The composition root: the only package that connects settings, adapters and use cases. Each process has its own
module, so that it imports only what it needs."""
