"""google.rpc.Status (AIP-193) as exceptions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from stockward_client.errors import BY_CODE, FieldViolation, PreconditionViolation, StockwardError
from stockward_client.reasons import BY_REASON

DOMAIN = "stockward"
"""`domain` of an ErrorInfo of the server."""

CLOSED = "Channel closed!"
"""What gRPC says of calls whose client was closed meanwhile."""

_CODES = {code.value[0]: code for code in grpc.StatusCode}


def error_of(status: status_pb2.Status, request_id: str = "") -> StockwardError:
    """The exception for a Status, such as the `error` of one result of a batch."""
    info, request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    precondition, retry = error_details_pb2.PreconditionFailure(), error_details_pb2.RetryInfo()
    for detail in status.details:
        for kind in (info, request, precondition, retry):
            detail.Unpack(kind)  # changes it only if it is of that kind
    code = _CODES.get(status.code, grpc.StatusCode.UNKNOWN)
    reason = info.reason if info.domain == DOMAIN else ""
    return _class_of(code, reason)(
        status.message,
        code=code,
        reason=reason,
        metadata=info.metadata,
        violations=[FieldViolation(each.field, each.description) for each in request.field_violations],
        preconditions=[
            PreconditionViolation(each.type, each.subject, each.description) for each in precondition.violations
        ],
        retry_after=retry.retry_delay.ToTimedelta().total_seconds() if retry.HasField("retry_delay") else None,
        request_id=request_id,
    )


@contextmanager
def typed_errors(request_id: str = "") -> Iterator[None]:
    """Raises what the server answered as a StockwardError."""
    try:
        yield
    except grpc.RpcError as error:
        call: Any = error  # what is raised is a grpc.Call, too
        status = rpc_status.from_call(call)
        if status is None:  # not by the server
            status = status_pb2.Status(code=_code_of(call).value[0], message=call.details() or "")
        raise error_of(status, request_id) from None  # it says all that gRPC's own error says


def _code_of(call: Any) -> grpc.StatusCode:
    """A server that stops lets gRPC cancel what comes in that moment: for the caller, who cancelled nothing, the server
    was unavailable."""
    code: grpc.StatusCode = call.code()
    if code is grpc.StatusCode.CANCELLED and call.details() != CLOSED:
        return grpc.StatusCode.UNAVAILABLE
    return code


@cache
def _class_of(code: grpc.StatusCode, reason: str) -> type[StockwardError]:
    """The class of the reason, which is one of the code, too; that of the code for reasons newer than this client."""
    by_code, by_reason = BY_CODE.get(code, StockwardError), BY_REASON.get(reason)
    if by_reason is None or issubclass(by_reason, by_code):
        return by_reason or by_code
    return type(by_reason.__name__, (by_reason, by_code), {"__doc__": by_reason.__doc__})
