"""The composition root: the only place where settings, adapters and use cases meet. A module for each process, so that
each loads what it needs."""
