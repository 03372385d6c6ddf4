"""What the relay has done."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from stockward_server.runtime.distribution import Distribution


@dataclass(slots=True)
class RelayMetrics:
    """Since the process began; everything is counted once a batch."""

    published: int = 0
    """Events that JetStream has acknowledged."""
    seconds: Distribution = field(default_factory=Distribution)
    """Of each batch, from its first message to its acknowledgement."""
    errors: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Sessions that ended with an error, by its type."""
    stream_sequence: int | None = None
    """Number of the stream's last message, as this relay knows; None before it has seen the stream."""
    connected: bool = False
    """Whether NATS and PostgreSQL are there and the outbox is being looked at."""
    shards: int = 0
    """Parts of the outbox that are ours."""
