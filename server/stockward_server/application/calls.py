"""Kinds of calls, which settings refer to."""

from __future__ import annotations

from enum import StrEnum


class MethodKind(StrEnum):
    """The approximate cost of a call."""

    READ = "read"
    WRITE = "write"
    BULK = "bulk"
    """Streams, counted when they are opened, and batches of changes."""


class LoggedCalls(StrEnum):
    """Which calls are logged. Unexpected errors are always logged."""

    NONE = "none"
    REFUSED = "refused"
    ALL = "all"
