"""How a process does: readiness, metrics, logs and traces. It looks at the parts; they know nothing of it."""
