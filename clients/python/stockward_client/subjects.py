"""Subjects of NATS on which the events of one thing are published."""

from __future__ import annotations

import re
import unicodedata

_FORBIDDEN = re.compile(rb"[^A-Za-z0-9-]")


def subject_for(sku: str, event: str = "*") -> str:
    """Returns the subject of the stock events of a SKU, at all locations.

    A SKU may have characters that a subject cannot have, so each byte in UTF-8 other than A-Z, a-z, 0-9 and `-` is
    `_` and two hexadecimal digits: `A.1` is `A_2E1`. As the server does, it puts the SKU into Unicode's normal form C.

    Args:
        sku: Stock keeping unit, 1 to 64 characters.
        event: The last part of the event's type, such as `changed` or `depleted`; `*` for all of them.
    """
    return f"stockward.v1.stock.{event}.{token_for(unicodedata.normalize('NFC', sku))}"


def token_for(text: str) -> str:
    """Returns any text but the empty one as a single token of a subject, escaped as events are published."""
    if not text:
        raise ValueError("a subject has no empty token")
    return _FORBIDDEN.sub(lambda found: b"_%02X" % found[0][0], text.encode()).decode()
