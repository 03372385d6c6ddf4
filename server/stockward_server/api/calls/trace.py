"""Which trace a call belongs to: its caller's, by the header `traceparent` of W3C Trace Context."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any, Protocol

from stockward_server.auth.identity import current_metadata

Metadata = Sequence[tuple[str, str | bytes]]

TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
"""Version, trace id, span id, flags."""


class CallTracer(Protocol):
    """Puts a span around each call."""

    def begin_call(self, method: str, metadata: Metadata) -> tuple[Any, str]:
        """The span, and the traceparent of what it brings about."""
        ...

    def end_call(self, span: Any, code: str, reason: str) -> None: ...


current_span: ContextVar[tuple[Any, str]] = ContextVar("current_span")
"""Result of `begin_call` during the call; not set without tracing."""


def traceparent() -> str:
    """Returns the context of the current call's span; without tracing, that of the caller; empty without either."""
    span = current_span.get(None)
    if span is not None:
        return span[1]
    for name, value in current_metadata.get(()):
        if name == "traceparent":
            return value if isinstance(value, str) and TRACEPARENT.fullmatch(value) else ""
    return ""
