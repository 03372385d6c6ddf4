"""An event as a NATS message: its subject, and its CloudEvents 1.0 attributes as headers (NATS binding, binary mode).

Subjects are `stockward.v1.<aggregate>.<event>.<id>`. The id is the aggregate's; for stock it is the SKU alone, so that
one subscription covers all locations. In a token of a subject, A-Z a-z 0-9 and `-` stand for themselves; every other
byte of the id in UTF-8, `_` included, is `_` and two hexadecimal digits: `A.1/b_c` is `A_2E1_2Fb_5Fc`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from stockward_server.storage.events.outbox import PendingEvent

SUBJECTS = "stockward.v1.>"
"""Subjects of all events."""

SOURCE = "/stockward"
SCHEMA = "proto:stockward.event.v1.Event"

_FORBIDDEN_IN_TOKEN = re.compile(rb"[^A-Za-z0-9-]")
_ESCAPED_IN_TOKEN = re.compile(r"_([0-9A-F]{2})")
_FORBIDDEN_IN_HEADER = re.compile(rb'[^!-~]|["%]')


def subject_of(event: PendingEvent) -> str:
    """Returns the subject on which the event is published."""
    subject_id = event.aggregate_id
    if event.type.startswith("stock."):
        subject_id = subject_id.rsplit("@", 1)[0]  # <sku>@<location_id>
    return f"stockward.v1.{event.type}.{encode_token(subject_id)}"


def encode_token(text: str) -> str:
    """Encodes a text, which must not be empty, as one token of a subject."""
    return _FORBIDDEN_IN_TOKEN.sub(lambda found: b"_%02X" % found[0][0], text.encode()).decode()


def decode_token(token: str) -> str:
    """Decodes a token of encode_token."""
    return _ESCAPED_IN_TOKEN.sub(lambda found: chr(int(found[1], 16)), token).encode("latin-1").decode()


def headers_of(event: PendingEvent) -> dict[str, str]:
    """Returns the CloudEvents attributes as headers, and `Nats-Msg-Id`, by which JetStream recognises duplicates.

    `partitionkey` and `sequence` are the documented CloudEvents extensions: among events of the same partition key
    (the aggregate) the sequence (its version, padded so that text sorts as numbers do) says which came first.
    `recordseq` is the event's position in the record that EventService.ListEvents reads. `traceparent`, another
    documented extension, is set where the event belongs to a trace, also as a plain header for tools that read only it.
    """
    aggregate_id = _header_value(event.aggregate_id)
    headers = {
        "Nats-Msg-Id": event.event_id,
        "ce-specversion": "1.0",
        "ce-id": event.event_id,
        "ce-source": SOURCE,
        "ce-type": f"stockward.v1.{event.type}",
        "ce-subject": aggregate_id,
        "ce-time": _rfc3339(event.create_time),
        "ce-datacontenttype": "application/protobuf",
        "ce-dataschema": SCHEMA,
        "ce-partitionkey": aggregate_id,
        "ce-sequence": f"{event.version:020}",
        "ce-recordseq": str(event.seq),
    }
    if event.traceparent:
        headers["traceparent"] = headers["ce-traceparent"] = event.traceparent
    return headers


def _header_value(text: str) -> str:
    """Percent-encodes a header as the NATS binding requires: space, quotes, percent and all but printable ASCII."""
    return _FORBIDDEN_IN_HEADER.sub(lambda found: b"%%%02X" % found[0][0], text.encode()).decode()


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
