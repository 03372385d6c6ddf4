"""The consistency token: a commit point as text, in the metadata of answers and calls, and in the headers of REST.

Callers compare tokens as text and keep the largest, so both numbers have a fixed width. It is not sealed: a token that
a caller makes up leads that caller's own reads to the primary, and no further.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from stockward_server.application.consistency import UNKNOWN, CommitPoint

HEADER = "stockward-consistency-token"
"""Name of the metadata and of the header."""

FORM = re.compile(r"([0-7][0-9a-f]{15})([0-7][0-9a-f]{15})")


def encode(point: CommitPoint) -> str:
    """Returns the text of a point."""
    return f"{point.epoch:016x}{point.transaction:016x}"


def decode(text: str) -> CommitPoint:
    """Returns the point; UNKNOWN for what no server of this release has made."""
    found = FORM.fullmatch(text)
    return CommitPoint(int(found[1], 16), int(found[2], 16)) if found else UNKNOWN


def required_by(metadata: Iterable[tuple[str, str | bytes]]) -> CommitPoint | None:
    """Returns the largest point that the metadata of a call name; None if they name none. An empty one is none."""
    points = [decode(value) for name, value in metadata if name == HEADER and value and isinstance(value, str)]
    return max(points, default=None)
