"""Observability of a process: readiness, metrics, logs and traces. It reads other packages; they do not import it."""
