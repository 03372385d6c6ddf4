"""What every process needs to run: supervision, turns on the event loop, garbage collection, its end, its ports."""
