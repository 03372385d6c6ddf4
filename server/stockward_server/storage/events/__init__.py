"""The event log, the outbox and their backlog."""
