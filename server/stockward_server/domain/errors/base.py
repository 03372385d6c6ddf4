"""The root of all refusals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar


class Code(IntEnum):
    """The google.rpc.Code values in use."""

    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """A field at fault: its path in the request, such as `lines[0].quantity`, and what is wrong with it."""

    field: str
    description: str


@dataclass(frozen=True, slots=True)
class PreconditionViolation:
    """A condition that is not met: a type, a subject such as a SKU, and a description."""

    type: str
    subject: str
    description: str


class StockwardError(Exception):
    """Root of every error that Stockward raises on purpose."""


class Refusal(StockwardError):
    """An error of the contract: `code`, `reason`, a message for people, and metadata for machines.

    `field` names the one field at fault; `violations` several. The caller receives both as BadRequest, and
    `retry_after` (seconds) as RetryInfo. Metadata without a value is left out.
    """

    code: ClassVar[Code]
    reason: ClassVar[str]

    def __init__(
        self,
        message: str,
        *,
        field: str | None = None,
        violations: Sequence[FieldViolation] = (),
        preconditions: Sequence[PreconditionViolation] = (),
        retry_after: float | None = None,
        **metadata: object,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.violations = tuple(violations) or ((FieldViolation(field, message),) if field else ())
        self.preconditions = tuple(preconditions)
        self.retry_after = retry_after
        self.metadata = {key: str(value) for key, value in metadata.items() if value is not None}
        if self.violations:
            self.metadata.setdefault("field", self.violations[0].field)


def at_field(field: str, description: str) -> str:
    """Returns the message about a field; an empty one stands for the request as a whole."""
    return f"{field}: {description}" if field else description


def violations_of(field: str, description: str) -> Sequence[FieldViolation]:
    """Returns the violations that BadRequest lists for the field."""
    return (FieldViolation(field, description),) if field else ()
