"""Ids that the server makes: UUIDv7 (RFC 9562), so that they sort by time and sit close together in an index."""

from __future__ import annotations

import uuid_utils


def new_id() -> str:
    """A fresh UUIDv7 in its canonical text form."""
    return str(uuid_utils.uuid7())
