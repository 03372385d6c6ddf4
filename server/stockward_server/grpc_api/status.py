"""Refusals as google.rpc.Status (AIP-193), and the interceptor that answers them."""

from __future__ import annotations

import logging
import uuid
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import asdict
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from grpc_interceptor.server import AsyncServerInterceptor
from grpc_status import rpc_status

from stockward_server.domain.errors import FieldViolation, InternalError, PreconditionViolation, Refusal

log = logging.getLogger(__name__)

DOMAIN = "stockward"
"""`domain` of every ErrorInfo."""


MAX_TEXT = 300
"""Bytes of one text of a Status."""

MAX_LISTED = 1500
"""Bytes of a list in a Status, some twenty lines: it travels in HTTP trailers, and gRPC clients take 8 KiB of them."""


def status_of(refusal: Refusal) -> status_pb2.Status:
    """ErrorInfo first, then the details that apply; long texts are cut, and so are long lists."""
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


def _cut(text: str) -> str:
    encoded = text.encode()
    return text if len(encoded) <= MAX_TEXT else encoded[:MAX_TEXT].decode(errors="ignore") + "…"


def _listed(violations: Iterable[FieldViolation | PreconditionViolation]) -> list[Any]:
    """As many as there is room for, as keyword arguments of their message."""
    listed: list[Any] = []
    room = MAX_LISTED
    for violation in violations:
        texts = {name: _cut(text) for name, text in asdict(violation).items()}
        room -= sum(len(text.encode()) for text in texts.values())
        if room < 0 and listed:
            break
        listed.append(texts)
    return listed


class StatusInterceptor(AsyncServerInterceptor):
    """The only place that ends a call with an error. What nobody foresaw is logged and answered without its text."""

    def __init__(self, translate: Callable[[Exception], Refusal | None]) -> None:
        """`translate` knows the exceptions of the layers below that have a documented answer."""
        self._translate = translate

    async def intercept(
        self,
        method: Callable[..., Any],
        request_or_iterator: Any,
        context: grpc.aio.ServicerContext[Any, Any],
        method_name: str,
    ) -> Any:
        try:
            response = method(request_or_iterator, context)
            if not hasattr(response, "__aiter__"):
                response = await response
                if not hasattr(response, "__aiter__"):
                    return response
        except Exception as error:
            await self._abort(error, context, method_name)
        return self._each(response, context, method_name)

    async def _each(
        self, responses: AsyncIterator[Any], context: grpc.aio.ServicerContext[Any, Any], method_name: str
    ) -> AsyncIterator[Any]:
        try:
            async for response in responses:
                yield response
        except Exception as error:
            await self._abort(error, context, method_name)

    async def _abort(self, error: Exception, context: grpc.aio.ServicerContext[Any, Any], method_name: str) -> None:
        if isinstance(error, grpc.aio.AbortError):
            raise error
        refusal = error if isinstance(error, Refusal) else self._translate(error)
        if refusal is None:
            incident = str(uuid.uuid4())
            log.error("%s failed, incident %s", method_name, incident, exc_info=error)
            refusal = InternalError(f"internal error, incident {incident}", incident=incident)
        await context.abort_with_status(rpc_status.to_status(status_of(refusal)))
