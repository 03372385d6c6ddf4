"""Events into the stream: a whole batch or none of it, and one by one where that is not possible."""

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
"""Messages of one atomic batch; the server takes no more by default."""

ACK_SECONDS = 10.0
"""How long an acknowledgement is waited for. With `sync_interval: always` it comes after the disk's."""


HEADER_BYTES = 4096
"""Of an event's headers, at most; NATS counts them, too."""


class Publisher:
    """Publishes events in the order given. One at a time: a call must end before the next one begins."""

    def __init__(self, client: Client, stream: StreamInfo) -> None:
        self._client = client
        self._stream = client.jetstream()
        self._atomic = bool(stream.config.allow_atomic)  # a server before 2.12 leaves it out
        self.last_sequence = stream.state.last_seq
        """Number of the last message of the stream, as far as this publisher knows."""

    @property
    def max_bytes(self) -> int:
        """The largest event that NATS takes."""
        return self._client.max_payload - HEADER_BYTES

    async def publish(self, events: Sequence[PendingEvent]) -> None:
        """Returns when the stream has all of them; raises Unavailable when it is not known to.

        A batch is refused as a whole when the stream has any of its messages already, as after a crash between
        acknowledgement and deletion: then the same messages are sent again singly, and the stream drops those that it
        knows. That is right after any other doubt, too: their order is the same, and each is awaited.
        """
        if not (self._atomic and len(events) > 1 and await self._publish_batch(events)):
            for event in events:
                await self._publish_one(event)

    async def _publish_batch(self, events: Sequence[PendingEvent]) -> bool:
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
            self.last_sequence = max(self.last_sequence, ack.seq)  # that of a duplicate is an older one
