"""Parts that every process needs: supervision, turns on the event loop, garbage collection, shutdown, admin ports."""
