"""Converts refusals to google.rpc.Status (AIP-193)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from stockward_server.domain.errors import FieldViolation, PreconditionViolation, Refusal

DOMAIN = "stockward"
"""`domain` of every ErrorInfo."""

MAX_TEXT = 300
"""Maximum bytes of one text of a Status."""

BRIEF_TEXT = 60
"""Maximum bytes of the message of a brief Status."""

MAX_LISTED = 1500
"""Maximum bytes of a list in a Status, some twenty lines: it is sent in HTTP trailers, of which gRPC clients accept 8
KiB."""


HTTP_STATUS = {"WEBHOOK_TYPE_UNKNOWN": "422", "MESSAGE_TOO_LARGE": "413"}
"""HTTP status by reason, where it is more precise than that of the gRPC code. The trailer `x-http-status` carries it,
and the edge makes it the status of the response."""


def status_of(refusal: Refusal) -> status_pb2.Status:
    """Returns the Status: ErrorInfo first, then the applicable details; long texts and lists are cut."""
    metadata = {key: _cut(value) for key, value in refusal.metadata.items()}
    details: list[Any] = [error_details_pb2.ErrorInfo(reason=refusal.reason, domain=DOMAIN, metadata=metadata)]
    if refusal.violations:
        details.append(error_details_pb2.BadRequest(field_violations=_listed(refusal.violations)))
    if refusal.preconditions:
        details.append(error_details_pb2.PreconditionFailure(violations=_listed(refusal.preconditions)))
    if refusal.retry_after is not None:
        nanos = int(refusal.retry_after * 1e9)
        delay = Duration(seconds=nanos // 10**9, nanos=nanos % 10**9)
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    status = status_pb2.Status(code=refusal.code, message=_cut(refusal.message))
    for detail in details:
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def brief_status_of(refusal: Refusal) -> status_pb2.Status:
    """Returns a Status of some 150 bytes, for responses with thousands of them."""
    reason = AnyMessage()
    reason.Pack(error_details_pb2.ErrorInfo(reason=refusal.reason, domain=DOMAIN))
    return status_pb2.Status(code=refusal.code, message=_cut(refusal.message, BRIEF_TEXT), details=[reason])


def _cut(text: str, size: int = MAX_TEXT) -> str:
    """Returns the text cut to `size` bytes, plus a mark where it was cut."""
    encoded = text.encode(errors="replace")  # JSON can contain a lone surrogate, which no message can
    return encoded.decode() if len(encoded) <= size else encoded[:size].decode(errors="ignore") + "…"


def _listed(violations: Iterable[FieldViolation | PreconditionViolation]) -> list[Any]:
    """Returns as many violations as fit, as keyword arguments of their message."""
    listed: list[Any] = []
    room = MAX_LISTED
    for violation in violations:
        texts = {name: _cut(text) for name, text in asdict(violation).items()}
        room -= sum(len(text.encode()) for text in texts.values())
        if room < 0 and listed:
            break
        listed.append(texts)
    return listed
