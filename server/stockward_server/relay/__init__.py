"""From the outbox to JetStream."""

from stockward_server.relay.loop import run
from stockward_server.relay.metrics import RelayTally

__all__ = ["RelayTally", "run"]
