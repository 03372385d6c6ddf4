"""What a call may raise.

StockwardError
├── InvalidArgument, NotFound, FailedPrecondition …     one class a gRPC code
│   └── FieldInvalid, OrderNotFound, InsufficientStock …   one class a reason of the contract, see `reasons`
└── MessageTooLarge                                     a reason that comes with more than one code

A reason's class is at the same time one of the code that the server answered, so `except` may name either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import grpc

__all__ = [
    "Aborted",
    "AlreadyExists",
    "Cancelled",
    "DataLoss",
    "DeadlineExceeded",
    "FailedPrecondition",
    "FieldViolation",
    "Internal",
    "InvalidArgument",
    "NotFound",
    "OutOfRange",
    "PermissionDenied",
    "PreconditionViolation",
    "ResourceExhausted",
    "StockwardError",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "Unknown",
    "WebhookNotVerified",
]


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """A field at fault: its path in the request, such as `lines[0].quantity`, and what is wrong with it."""

    field: str
    description: str


@dataclass(frozen=True, slots=True)
class PreconditionViolation:
    """Something that would have to be different: a type, a subject such as a SKU, and what is wrong with it."""

    type: str
    subject: str
    description: str


class StockwardError(Exception):
    """Root of all errors of a call. A refused call has changed nothing.

    After Unavailable and DeadlineExceeded it is not known whether the change was made: make the same call again with
    `request_id=error.request_id`, and it is made once.
    """

    code: grpc.StatusCode
    """The gRPC code."""
    reason: str
    """Stable, such as `INSUFFICIENT_STOCK`; empty when the answer is not the server's own."""
    message: str
    """For people. Branch on the class or the reason."""
    metadata: Mapping[str, str]
    """What the contract documents for the reason, such as `sku`."""
    violations: Sequence[FieldViolation]
    """The fields at fault."""
    preconditions: Sequence[PreconditionViolation]
    """What would have to be different."""
    retry_after: float | None
    """Seconds after which the same call may succeed."""
    request_id: str
    """That of the call; empty for reads."""

    def __init__(
        self,
        message: str,
        *,
        code: grpc.StatusCode = grpc.StatusCode.UNKNOWN,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[FieldViolation] = (),
        preconditions: Sequence[PreconditionViolation] = (),
        retry_after: float | None = None,
        request_id: str = "",
    ) -> None:
        super().__init__(f"{message} ({reason or code.name})")
        self.code = code
        self.reason = reason
        self.message = message
        self.metadata = dict(metadata or {})
        self.violations = tuple(violations)
        self.preconditions = tuple(preconditions)
        self.retry_after = retry_after
        self.request_id = request_id


class Cancelled(StockwardError):
    """The call was cancelled."""


class Unknown(StockwardError):
    """What stands between client and server failed in a way of its own."""


class InvalidArgument(StockwardError):
    """The request breaks a rule; `violations` names the fields."""


class DeadlineExceeded(StockwardError):
    """No answer within the deadline. Whether the change was made is not known: repeat it with its request_id."""


class NotFound(StockwardError):
    """There is no such thing."""


class AlreadyExists(StockwardError):
    """There is such a thing already."""


class PermissionDenied(StockwardError):
    """The key is good, but not for this."""


class ResourceExhausted(StockwardError):
    """More than the server takes now; come back after `retry_after`."""


class FailedPrecondition(StockwardError):
    """The state of things does not allow it."""


class Aborted(StockwardError):
    """Another caller was quicker: read again, then try again."""


class OutOfRange(StockwardError):
    """Beyond what there is or can be."""


class Unimplemented(StockwardError):
    """The server is older than this client and does not know the method."""


class Internal(StockwardError):
    """A defect of the server; `metadata["incident"]` stands in its log."""


class Unavailable(StockwardError):
    """The server or its database cannot be reached, also after retries. Repeat a change with its request_id."""


class DataLoss(StockwardError):
    """Data is lost."""


class Unauthenticated(StockwardError):
    """The key is missing, wrong or revoked."""


class WebhookNotVerified(Unauthenticated):
    """The webhook is not signed with the secret, or its timestamp is more than five minutes away."""


BY_CODE: Mapping[grpc.StatusCode, type[StockwardError]] = {
    grpc.StatusCode.CANCELLED: Cancelled,
    grpc.StatusCode.UNKNOWN: Unknown,
    grpc.StatusCode.INVALID_ARGUMENT: InvalidArgument,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExists,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ResourceExhausted,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPrecondition,
    grpc.StatusCode.ABORTED: Aborted,
    grpc.StatusCode.OUT_OF_RANGE: OutOfRange,
    grpc.StatusCode.UNIMPLEMENTED: Unimplemented,
    grpc.StatusCode.INTERNAL: Internal,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.DATA_LOSS: DataLoss,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
}
