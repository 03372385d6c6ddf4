"""The relay: publishes the outbox to JetStream."""

from stockward_server.relay.loop import run
from stockward_server.relay.metrics import RelayMetrics

__all__ = ["RelayMetrics", "run"]
