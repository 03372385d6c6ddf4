"""Errors of any method; the reasons of error.v1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from stockward_server.domain.errors.base import Code, FieldViolation, Refusal, at_field, violations_of

RETRY_SECONDS = 1.0
"""Retry delay for a server that is overloaded or has no database."""

FULL_SECONDS = 5.0
"""Retry delay while the database has no room."""

RESUME_SECONDS = 0.1
"""Retry delay for a watch that the server ended."""


class FieldInvalid(Refusal):
    """A field breaks its rule; `field` is empty when the request as a whole does."""

    code, reason = Code.INVALID_ARGUMENT, "FIELD_INVALID"

    def __init__(self, field: str, description: str, *, violations: Sequence[FieldViolation] = ()) -> None:
        """`violations`: all fields at fault, if there are several."""
        super().__init__(at_field(field, description), violations=violations or violations_of(field, description))

    @classmethod
    def of(cls, violations: Sequence[FieldViolation]) -> Self:
        """Makes the error from at least one violation; the message is about the first."""
        return cls(violations[0].field, violations[0].description, violations=violations)


class PageTokenInvalid(Refusal):
    """A page token or cursor that no server issued for this request."""

    code, reason = Code.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID"

    @classmethod
    def of_request(cls, field: str) -> Self:
        """`field` holds the token, which is good for one method and its other arguments."""
        return cls._at(
            field,
            f"must be empty, or the {field} that a response of this method gave, with all other arguments as they "
            "were; after an upgrade of the server begin again without one",
        )

    @classmethod
    def of_record(cls) -> Self:
        """A cursor is a position in the record of events."""
        return cls._at("cursor", "must be empty, or a cursor that these servers gave")

    @classmethod
    def _at(cls, field: str, description: str) -> Self:
        return cls(at_field(field, description), violations=violations_of(field, description))


class MoneyInvalid(Refusal):
    """An amount of money that is malformed or out of range."""

    code, reason = Code.INVALID_ARGUMENT, "MONEY_INVALID"

    def __init__(self, field: str, description: str, currency: str | None = None, nanos: int | None = None) -> None:
        super().__init__(
            at_field(field, description),
            violations=violations_of(field, description),
            currency=currency,
            nanos=nanos,
        )


class RequestIdReused(Refusal):
    """The caller has used the request_id before, for another method or with other content."""

    code, reason = Code.ALREADY_EXISTS, "REQUEST_ID_REUSED"

    def __init__(self, request_id: str, method: str) -> None:
        """`method`: the method that it was used for."""
        super().__init__(
            f"request_id {request_id} was used before with another request",
            field="request_id",
            request_id=request_id,
            method=method,
        )


class EtagMismatch(Refusal):
    """The resource has changed since the caller read it."""

    code, reason = Code.ABORTED, "ETAG_MISMATCH"

    def __init__(self, resource: str, sent: str, *, etag: str, **ids: Any) -> None:
        """`resource` names it in the message, such as `order 0190...`; `etag` is the present one, `sent` the old."""
        super().__init__(f"{resource} has changed: its etag is {etag!r}, not {sent!r}", etag=etag, **ids)


class Overloaded(Refusal):
    """The server has more to do than it can do in time."""

    code, reason = Code.RESOURCE_EXHAUSTED, "OVERLOADED"

    @classmethod
    def by_calls(cls, limit: int) -> Self:
        """The server works on its maximum number of calls."""
        return cls(f"{limit} calls are under way already", limit=limit, retry_after=RETRY_SECONDS)

    @classmethod
    def by_silent_calls(cls, limit: int) -> Self:
        """Too many calls wait for their first message; this one was ended to make room."""
        return cls(
            "too many calls wait for their first message, and this one has waited longest",
            limit=limit,
            retry_after=RETRY_SECONDS,
        )

    @classmethod
    def by_changes(cls, waiting: int, limit: int) -> Self:
        """The caller's share of the committer's queue is full."""
        return cls(
            f"{waiting} changes are waiting, and too many of them for this caller or others of its role",
            limit=limit,
            retry_after=RETRY_SECONDS,
        )


class DatabaseUnavailable(Refusal):
    """The database cannot be used at the moment, or the server stops."""

    code, reason = Code.UNAVAILABLE, "DATABASE_UNAVAILABLE"

    @classmethod
    def unreachable(cls) -> Self:
        """The database cannot be reached; nothing was changed."""
        return cls("the database cannot be reached", retry_after=RETRY_SECONDS)

    @classmethod
    def disk_full(cls) -> Self:
        """PostgreSQL has no room for what is to be written."""
        return cls("the disk of the database is full: nothing was changed", retry_after=FULL_SECONDS)

    @classmethod
    def read_only(cls) -> Self:
        """PostgreSQL takes no changes: it is a standby, a former primary, or was set to be read only."""
        return cls("the database takes no changes at the moment: nothing was changed", retry_after=RETRY_SECONDS)

    @classmethod
    def out_of_order(cls) -> Self:
        """PostgreSQL lacks memory, or its machine reports errors."""
        return cls("the database lacks resources or has errors: nothing was changed", retry_after=RETRY_SECONDS)

    @classmethod
    def outcome_unknown(cls) -> Self:
        """The connection was lost around a commit, and did not come back."""
        return cls(
            "the database cannot be reached; it is not known whether the change was made: "
            "send the request again with the same request_id",
            retry_after=RETRY_SECONDS,
        )

    @classmethod
    def not_migrated(cls) -> Self:
        """The database has the schema of an earlier release."""
        return cls("the database is not up to date: it waits for `stockward migrate`", retry_after=RETRY_SECONDS)

    @classmethod
    def migrating(cls) -> Self:
        """A migration has locked what the call uses."""
        return cls("the database is being migrated", retry_after=RESUME_SECONDS)

    @classmethod
    def stopping(cls) -> Self:
        """The server shuts down and accepts no more changes."""
        return cls("the server is stopping")

    @classmethod
    def watch_stopped(cls) -> Self:
        """A watch ends because its server shuts down."""
        return cls("the server is stopping; go on elsewhere from the last cursor", retry_after=RESUME_SECONDS)

    @classmethod
    def record_replaced(cls) -> Self:
        """A watch ends because a new epoch of the event log begins."""
        return cls("the database was restored or failed over; go on from the last cursor", retry_after=RESUME_SECONDS)


class DeadlinePassed(Refusal):
    """The request was dropped because its deadline passed, or that of the server for calls without one."""

    code, reason = Code.DEADLINE_EXCEEDED, "DEADLINE_PASSED"

    @classmethod
    def in_queue(cls) -> Self:
        """The caller's deadline passed before its batch began."""
        return cls("the deadline passed while the request was queued")

    @classmethod
    def by_server(cls, seconds: float) -> Self:
        """A call without a deadline took longer than the server allows."""
        return cls(
            f"the call has no deadline and took longer than {seconds:g} s; a change may have been made: "
            "send the request again with the same request_id"
        )

    @classmethod
    def without_message(cls, seconds: float) -> Self:
        """The call's first message took longer than so many seconds."""
        return cls(f"no message came within {seconds:g} s")


class InternalError(Refusal):
    """A defect; the log has the details under the incident's id."""

    code, reason = Code.INTERNAL, "INTERNAL"

    def __init__(self, incident: str) -> None:
        super().__init__(f"internal error, incident {incident}", incident=incident)


class MessageTooLarge(Refusal):
    """A message is larger than the server accepts, or than a valid one can be; sizes in bytes."""

    code, reason = Code.RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE"

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"the message has {size} bytes, {limit} are allowed", limit_bytes=limit)


class WatchLagged(Refusal):
    """The client reads a watch more slowly than changes arrive; `limit`: maximum number of waiting changes."""

    code, reason = Code.ABORTED, "WATCH_LAGGED"

    def __init__(self, limit: int) -> None:
        super().__init__(
            "changes came faster than this watch was read: open it again with its last cursor",
            retry_after=RESUME_SECONDS,
            limit=limit,
        )


class WatchLimitReached(Refusal):
    """The server process has reached its maximum of watches, or of SKUs and orders in them."""

    code, reason = Code.RESOURCE_EXHAUSTED, "WATCH_LIMIT_REACHED"

    @classmethod
    def of_watches(cls, limit: int) -> Self:
        return cls(f"{limit} watches are open already", retry_after=RETRY_SECONDS, limit=limit)

    @classmethod
    def of_keys(cls, watched: int, wanted: int, limit: int) -> Self:
        """`watched`: SKUs and orders of all watches; `wanted`: those of this one."""
        return cls(
            f"{watched} SKUs and orders are watched already, and {wanted} more would be too many",
            retry_after=RETRY_SECONDS,
            limit=limit,
        )


class StreamLimitReached(Refusal):
    """The caller, or the customer for whom it acts, has reached the maximum of open streams."""

    code, reason = Code.RESOURCE_EXHAUSTED, "STREAM_LIMIT_REACHED"

    def __init__(self, limit: int, counted: str) -> None:
        """`counted`: `caller` or `customer`."""
        super().__init__(
            f"one {counted} may have {limit} streams open at the same time: end one of them",
            retry_after=RETRY_SECONDS,
            limit=limit,
            counted=counted,
        )


class ResponsesUnread(Refusal):
    """The caller must first read large responses that were already sent; sizes in bytes."""

    code, reason = Code.RESOURCE_EXHAUSTED, "RESPONSES_UNREAD"

    def __init__(self, unread: int, size: int, limit: int) -> None:
        """`size`: bytes of the response that exceeds the limit."""
        super().__init__(
            f"{unread} bytes of responses to this caller are not read yet, and there is no room for {size} more: "
            "read them first, or ask for fewer rows at once",
            retry_after=RETRY_SECONDS,
            unread_bytes=unread,
            limit_bytes=limit,
        )
