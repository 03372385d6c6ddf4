"""EventService, and the encoder of events for the log, JetStream and webhooks."""
