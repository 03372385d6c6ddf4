"""The stream that keeps the events."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import nats.js.errors
from nats.aio.client import Client
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig, StreamInfo

from stockward_server.relay.cloud_event import SUBJECTS
from stockward_server.runtime.nats import nats_errors, version_of

DUPLICATE_WINDOW = timedelta(minutes=10)
"""How long JetStream remembers event ids, to drop duplicates.

It has to outlast the time between a publish whose acknowledgement was lost and the next attempt: a restart of NATS,
PostgreSQL or the relay with crash recovery and back-off, which takes seconds to a few minutes; the default of 2 minutes
is tight. An id takes about 100 bytes of the server's memory: at 2,000 events a second 10 minutes are some 120 MB, an
hour would be 700 MB. Consumers recognise older duplicates by `event_id` and version, which they have to check anyway.
"""

ATOMIC_SINCE = (2, 12)
"""Version of NATS that has atomic batches; an older one leaves `allow_atomic` out of a stream."""

LARGEST_MESSAGE = 4 * 1024 * 1024 + 64 * 1024
"""Bytes that NATS has to accept: an event of the largest possible order, with its headers."""


async def ensure_stream(client: Client, name: str, max_age: timedelta, replicas: int = 0) -> StreamInfo:
    """Creates or updates the stream and returns it. Raises Unavailable.

    Settings of the operator (placement, size limits) stay; so does the number of replicas where `replicas` is 0. A new
    stream then gets three where there are three servers or more.
    """
    stream = client.jetstream()
    wanted = _wanted(client, max_age, replicas)
    with nats_errors(f"the stream {name} cannot be made ready"):
        try:
            info = await stream.stream_info(name)
        except nats.js.errors.NotFoundError:
            return await stream.add_stream(
                StreamConfig(
                    name=name,
                    description="Events of Stockward, in order per aggregate",
                    storage=StorageType.FILE,
                    retention=RetentionPolicy.LIMITS,
                    discard=DiscardPolicy.OLD,
                ),
                **{"num_replicas": 3 if len(client.servers) >= 3 else 1, **wanted},
            )
        if differences(client, info.config, max_age, replicas):
            info = await stream.update_stream(info.config, **wanted)
        return info


def differences(client: Client, config: StreamConfig, max_age: timedelta, replicas: int = 0) -> list[str]:
    """Returns the names of the fields whose values differ from the required ones."""
    return [field for field, value in _wanted(client, max_age, replicas).items() if getattr(config, field) != value]


def _wanted(client: Client, max_age: timedelta, replicas: int) -> dict[str, Any]:
    return {
        "subjects": [SUBJECTS],
        "max_age": max_age.total_seconds(),
        "duplicate_window": DUPLICATE_WINDOW.total_seconds(),
        **({"allow_atomic": True} if version_of(client) >= ATOMIC_SINCE else {}),
        "allow_direct": True,
        "deny_delete": True,
        "deny_purge": True,
        **({"num_replicas": replicas} if replicas else {}),
    }
