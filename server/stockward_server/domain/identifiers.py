"""Ids that the server makes: UUIDv7 (RFC 9562), so that they sort by time and sit close together in an index."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import uuid_utils


def new_id() -> str:
    """A fresh UUIDv7 in its canonical text form."""
    return str(uuid_utils.uuid7())


def first_id(moment: datetime) -> UUID:
    """What every id sorts behind that is made at this moment or later: UUIDv7 begin with their time in milliseconds."""
    return UUID(int=max(0, int(moment.timestamp() * 1000)) << 80)
