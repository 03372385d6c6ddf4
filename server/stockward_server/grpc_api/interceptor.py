"""What every call goes through: who calls, what is asked, and each error as a google.rpc.Status."""

from __future__ import annotations

import logging
import uuid
from collections.abc import AsyncIterator, Callable
from math import ceil
from typing import Any, NoReturn

import grpc
from grpc_interceptor.server import AsyncServerInterceptor
from grpc_status import rpc_status

from stockward_server.application.calls import LoggedCalls
from stockward_server.application.request import Caller
from stockward_server.domain.errors import CredentialsInvalid, InternalError, Refusal
from stockward_server.grpc_api.call_log import CallLog
from stockward_server.grpc_api.call_tally import CallTally
from stockward_server.grpc_api.call_trace import CallTracer, current_span
from stockward_server.grpc_api.identity import Identity, credential, current_metadata
from stockward_server.grpc_api.open_streams import OpenStreams
from stockward_server.grpc_api.rate_limits import RateLimits
from stockward_server.grpc_api.status import HTTP_STATUS, status_of
from stockward_server.grpc_api.stream_limits import StreamLimits
from stockward_server.grpc_api.validation import Rules, decoder

log = logging.getLogger(__name__)

Context = grpc.aio.ServicerContext[Any, Any]

OURS = "/stockward."
"""Health and reflection keep rules of their own."""


class CallInterceptor(AsyncServerInterceptor):
    """One interceptor rather than one a concern: each puts two more coroutines around a call."""

    def __init__(
        self,
        identity: Identity,
        rate_limits: RateLimits,
        stream_limits: StreamLimits,
        rules: Rules,
        translate: Callable[[Exception], Refusal | None],
        logged: LoggedCalls = LoggedCalls.NONE,
        tracer: CallTracer | None = None,
    ) -> None:
        """`translate` knows the exceptions of the layers below that have a documented answer."""
        self.calls = CallTally()
        self._log = CallLog(logged)
        self._tracer = tracer
        self._identity = identity
        self._streams = OpenStreams(identity.identify)
        self._rate_limits = rate_limits
        self._stream_limits = stream_limits
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
        since = self.calls.begin(method_name)
        if self._tracer is not None:
            current_span.set(self._tracer.begin_call(method_name, current_metadata.get(())))
        try:
            caller = await self._identity.admit(method_name)
            if caller is not None:
                self._rate_limits.take(caller.name, method_name)
                if (leave := self._stream_limits.enter(caller, method_name)) is not None:
                    context.add_done_callback(leave)  # type: ignore[arg-type]  # the stub has a client's callback
            if method_name.startswith(OURS):
                request_or_iterator = self._rules.check(request_or_iterator)
            if caller is not None and hasattr(request_or_iterator, "__aiter__"):
                request_or_iterator = self._admitted(request_or_iterator, method_name, caller)
            response = method(request_or_iterator, context)
            if hasattr(response, "__aiter__"):
                if caller is not None:
                    response = self._held(response, method_name, caller)
                return self._each(response, context, method_name, since, request_or_iterator)
            answer = await response
        except Exception as error:
            await self._abort(error, context, method_name, since, request_or_iterator)
        except BaseException:
            self._end(method_name, _broken_off(context), since, request_or_iterator)
            raise
        self._end(method_name, "OK", since, request_or_iterator)
        return answer

    async def _admitted(self, messages: AsyncIterator[Any], method_name: str, caller: Caller) -> AsyncIterator[Any]:
        """What a stream brings in, each message as long as its caller may send it."""
        async for message in messages:
            if await self._identity.admit(method_name) != caller:
                raise CredentialsInvalid("the credential changed: open the stream again", scheme="Bearer")
            yield message

    async def _held(self, responses: AsyncIterator[Any], method_name: str, caller: Caller) -> AsyncIterator[Any]:
        """What a stream gives, as long as its caller may have it."""
        async with self._streams.hold(credential(), method_name, caller):
            async for response in responses:
                yield response

    async def _each(
        self, responses: AsyncIterator[Any], context: Context, method_name: str, since: float, request: Any
    ) -> AsyncIterator[Any]:
        try:
            async for response in responses:
                yield response
        except Exception as error:
            await self._abort(error, context, method_name, since, request)
        except BaseException:
            self._end(method_name, _broken_off(context), since, request)
            raise
        self._end(method_name, "OK", since, request)

    async def _abort(
        self, error: Exception, context: Context, method_name: str, since: float, request: Any
    ) -> NoReturn:
        """The one place that ends a call with an error. What nobody foresaw is logged and answered without its text."""
        if isinstance(error, grpc.aio.AbortError):
            self._end(method_name, "UNKNOWN", since, request)
            raise error
        refusal = error if isinstance(error, Refusal) else self._translate(error)
        if refusal is None:
            incident = str(uuid.uuid4())
            log.error("%s failed, incident %s", method_name, incident, exc_info=error)
            refusal = InternalError(f"internal error, incident {incident}", incident=incident)
        self._end(method_name, refusal.code.name, since, request, refusal.reason)
        status: Any = rpc_status.to_status(status_of(refusal))
        http = HTTP_STATUS.get(refusal.reason)
        trailers = (*status.trailing_metadata, *([("x-http-status", http)] if http else []))
        if refusal.retry_after is not None:  # for HTTP, whose unit is the second (RFC 9110, 10.2.3)
            trailers = (*trailers, ("retry-after", str(max(1, ceil(refusal.retry_after)))))
        await context.abort(status.code, status.details, trailers)

    def _end(self, method_name: str, code: str, since: float, request: Any, reason: str = "") -> None:
        """Counts the call, writes it to the log where that is wanted, and ends its span."""
        seconds = self.calls.end(method_name, code, since, reason)
        if self._log.accepted if code == "OK" else self._log.refused:
            self._log.note(method_name, code, reason, seconds, request)
        if self._tracer is not None:
            self._tracer.end_call(current_span.get()[0], code, reason)


def _broken_off(context: Context) -> str:
    """The status that a caller sees whose call did not come to its end."""
    return "DEADLINE_EXCEEDED" if context.time_remaining() == 0 else "CANCELLED"
