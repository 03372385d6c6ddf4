"""Ids that the server creates: UUIDv7 (RFC 9562), which sort by time and are adjacent in an index."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import uuid_utils


def new_id() -> str:
    """Returns a new UUIDv7 in its canonical text form."""
    return str(uuid_utils.uuid7())


def first_id(moment: datetime) -> UUID:
    """Returns a lower bound of all ids created at this moment or later: UUIDv7 begin with their time in
    milliseconds."""
    return UUID(int=max(0, int(moment.timestamp() * 1000)) << 80)
