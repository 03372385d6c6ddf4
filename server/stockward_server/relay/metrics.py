"""Metrics of the relay."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from stockward_server.runtime.distribution import Distribution


@dataclass(slots=True)
class RelayMetrics:
    """Counters and states of one relay, since the process began; updated once a batch."""

    published: int = 0
    """Events that JetStream acknowledged."""
    seconds: Distribution = field(default_factory=Distribution)
    """Duration of each batch in seconds, from its first message to its acknowledgement."""
    errors: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Sessions that ended with an error, by the type of the error."""
    stream_sequence: int | None = None
    """Sequence of the last message of the stream that this relay knows; None before the first session."""
    connected: bool = False
    """Whether NATS and PostgreSQL are connected and the outbox is being read."""
    shards: int = 0
    """Shards of the outbox that this relay owns."""
