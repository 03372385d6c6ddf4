"""What every call goes through: who calls, what is asked, and each error as a google.rpc.Status."""

from __future__ import annotations

import logging
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
from grpc_interceptor.server import AsyncServerInterceptor
from grpc_status import rpc_status

from stockward_server.domain.errors import InternalError, Refusal
from stockward_server.grpc_api.identity import Identity
from stockward_server.grpc_api.status import HTTP_STATUS, status_of
from stockward_server.grpc_api.validation import Rules, decoder

log = logging.getLogger(__name__)

Context = grpc.aio.ServicerContext[Any, Any]

OURS = "/stockward."
"""Health and reflection keep rules of their own."""


class CallInterceptor(AsyncServerInterceptor):
    """One interceptor rather than one a concern: each puts two more coroutines around a call."""

    def __init__(self, identity: Identity, rules: Rules, translate: Callable[[Exception], Refusal | None]) -> None:
        """`translate` knows the exceptions of the layers below that have a documented answer."""
        self._identity = identity
        self._rules = rules
        self._translate = translate

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        """The handler with this interceptor around it; what cannot be decoded is refused here, not by gRPC."""
        handler = await super().intercept_service(continuation, handler_call_details)  # type: ignore[no-untyped-call]
        if handler_call_details.method.startswith(OURS):
            handler = handler._replace(request_deserializer=decoder(handler.request_deserializer))
        return handler

    async def intercept(
        self, method: Callable[..., Any], request_or_iterator: Any, context: Context, method_name: str
    ) -> Any:
        try:
            await self._identity.admit(method_name)
            if method_name.startswith(OURS):
                request_or_iterator = self._rules.check(request_or_iterator)
            response = method(request_or_iterator, context)
            if hasattr(response, "__aiter__"):
                return self._each(response, context, method_name)
            return await response
        except Exception as error:
            await self._abort(error, context, method_name)

    async def _each(self, responses: AsyncIterator[Any], context: Context, method_name: str) -> AsyncIterator[Any]:
        try:
            async for response in responses:
                yield response
        except Exception as error:
            await self._abort(error, context, method_name)

    async def _abort(self, error: Exception, context: Context, method_name: str) -> None:
        """The one place that ends a call with an error. What nobody foresaw is logged and answered without its text."""
        if isinstance(error, grpc.aio.AbortError):
            raise error
        refusal = error if isinstance(error, Refusal) else self._translate(error)
        if refusal is None:
            incident = str(uuid.uuid4())
            log.error("%s failed, incident %s", method_name, incident, exc_info=error)
            refusal = InternalError(f"internal error, incident {incident}", incident=incident)
        status: Any = rpc_status.to_status(status_of(refusal))
        http = HTTP_STATUS.get(refusal.reason)
        trailers = (*status.trailing_metadata, *([("x-http-status", http)] if http else []))
        await context.abort(status.code, status.details, trailers)
