"""From the outbox to JetStream."""

from stockward_server.relay.loop import run

__all__ = ["run"]
