"""The event log, the outbox and what waits in it."""
