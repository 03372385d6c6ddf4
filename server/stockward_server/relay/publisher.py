"""Publishes events to the stream: as an atomic batch, and one by one where that is not possible."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence

from nats.aio.client import Client
from nats.js.api import StreamInfo

from stockward_server.domain.identifiers import new_id
from stockward_server.relay.cloud_event import headers_of, subject_of
from stockward_server.runtime.nats import nats_errors
from stockward_server.storage.events.outbox import PendingEvent

log = logging.getLogger(__name__)

BATCH_LIMIT = 1000
"""Maximum of messages in an atomic batch; the default limit of the NATS server."""

ACK_SECONDS = 10.0
"""Timeout of an acknowledgement, in seconds. With `sync_interval: always` it follows the write to disk."""


HEADER_BYTES = 4096
"""Maximum size of an event's headers, in bytes; NATS counts them towards its max_payload."""


class Publisher:
    """Publishes events in the given order. Calls must not overlap."""

    def __init__(self, client: Client, stream: StreamInfo) -> None:
        self._client = client
        self._stream = client.jetstream()
        self._atomic = bool(stream.config.allow_atomic)  # a server before 2.12 leaves it out
        self.last_sequence = stream.state.last_seq
        """Sequence of the last message of the stream that this publisher knows."""

    @property
    def max_bytes(self) -> int:
        """Size of the largest payload that NATS accepts, in bytes."""
        return self._client.max_payload - HEADER_BYTES

    async def publish(self, events: Sequence[PendingEvent]) -> None:
        """Returns when the stream has all events; raises Unavailable when that is not certain.

        The stream refuses a whole batch when it has any of its messages already, as after a crash between
        acknowledgement and deletion. Then the same messages are sent one by one, and the stream drops duplicates. This
        is safe after any other refusal, too: the order is the same, and each acknowledgement is awaited.
        """
        if not (self._atomic and len(events) > 1 and await self._publish_batch(events)):
            for event in events:
                await self._publish_one(event)

    async def _publish_batch(self, events: Sequence[PendingEvent]) -> bool:
        """Publishes an atomic batch. Returns False when the stream refused it; raises Unavailable."""
        batch_id = new_id()
        last = len(events)
        with nats_errors("events cannot be published"):
            for number, event in enumerate(events, start=1):
                headers = headers_of(event)
                headers["Nats-Batch-Id"] = batch_id
                headers["Nats-Batch-Sequence"] = str(number)
                if number < last:
                    await self._client.publish(subject_of(event), event.payload, headers=headers)
            headers["Nats-Batch-Commit"] = "1"
            answer = await self._client.request(subject_of(event), event.payload, ACK_SECONDS, headers=headers)
        ack = json.loads(answer.data)
        if ack.get("batch") == batch_id and ack.get("count") == last and "error" not in ack:
            self.last_sequence = ack["seq"]
            return True
        log.info("a batch of %d events was not taken (%s); sending them singly", last, ack.get("error", ack))
        return False

    async def _publish_one(self, event: PendingEvent) -> None:
        with nats_errors(f"event {event.event_id} cannot be published"):
            ack = await self._stream.publish(
                subject_of(event), event.payload, timeout=ACK_SECONDS, headers=headers_of(event)
            )
            self.last_sequence = max(self.last_sequence, ack.seq)  # a duplicate has an older one
