"""Kinds of calls, of which the settings speak, too."""

from __future__ import annotations

from enum import StrEnum


class MethodKind(StrEnum):
    """What a call costs, roughly."""

    READ = "read"
    WRITE = "write"
    BULK = "bulk"
    """Streams, which are counted when they are opened, and batches of changes."""


class LoggedCalls(StrEnum):
    """Which calls get a line of their own. Errors that nobody foresaw always do."""

    NONE = "none"
    REFUSED = "refused"
    ALL = "all"
