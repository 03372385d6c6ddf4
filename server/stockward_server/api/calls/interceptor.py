"""What every call goes through: who calls, what is asked, and each error as a google.rpc.Status."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from math import ceil
from typing import Any, NamedTuple, NoReturn

import grpc
from google.protobuf.message import Message
from grpc_interceptor.server import AsyncServerInterceptor
from grpc_status import rpc_status

from stockward_server.api.calls.arrivals import MAX_STRANGERS, Arrivals, Slots
from stockward_server.api.calls.large_messages import LARGE, LargeMessages
from stockward_server.api.calls.log import CallLog
from stockward_server.api.calls.metrics import CallMetrics
from stockward_server.api.calls.open_streams import OpenStreams
from stockward_server.api.calls.rate_limits import RateLimits
from stockward_server.api.calls.send_budget import SendBudget
from stockward_server.api.calls.stream_limits import StreamLimits
from stockward_server.api.calls.trace import CallTracer, current_span
from stockward_server.application.calls import LoggedCalls
from stockward_server.application.consistency import CallPoints, begin_call
from stockward_server.application.context import Caller
from stockward_server.auth.identity import Identity, credential, current_metadata
from stockward_server.domain.errors import (
    CredentialsInvalid,
    DeadlinePassed,
    FieldInvalid,
    InternalError,
    Overloaded,
    Refusal,
)
from stockward_server.wire import consistency_token
from stockward_server.wire.status import HTTP_STATUS, status_of
from stockward_server.wire.validation.rules import Rules

log = logging.getLogger(__name__)

Context = grpc.aio.ServicerContext[Any, Any]

MAX_SECONDS = 60.0
"""Time limit for a call without a deadline: what it waits for, such as a database that hangs, may never come."""

ORIGINAL_METHOD = "x-envoy-original-method"
"""Metadata of calls that the edge has made of JSON."""

HEALTH_CHECK = "/grpc.health.v1.Health/Check"
"""Answered even where there is no room to wait for its question: anyone who asks decides whether calls still come
here."""


class Method(NamedTuple):
    """A method of a service, as its servicer has it."""

    name: str
    """`/package.Service/Method`"""
    behaviour: Callable[[Any, Context], Any]
    kind: type[Message]
    """Of its requests."""
    takes_stream: bool


class CallInterceptor(AsyncServerInterceptor):
    """One interceptor rather than one a concern: each puts two more coroutines around a call.

    To gRPC every method takes a stream of bytes: only of such it leaves the reading to us. Else it would receive and
    parse a message, however large, before anything is known of who sent it, and wait for it for ever.
    """

    def __init__(
        self,
        identity: Identity,
        rate_limits: RateLimits,
        stream_limits: StreamLimits,
        rules: Rules,
        slots: Slots,
        translate: Callable[[Exception], Refusal | None],
        send_bytes: int,
        logged: LoggedCalls = LoggedCalls.NONE,
        tracer: CallTracer | None = None,
    ) -> None:
        """`translate` knows the exceptions of the layers below that have a documented answer. `send_bytes`: how much of
        the responses may wait to be read."""
        self.calls = CallMetrics()
        self._log = CallLog(logged)
        self._tracer = tracer
        self._identity = identity
        self._streams = OpenStreams(identity.identify)
        self._rate_limits = rate_limits
        self._stream_limits = stream_limits
        self._sending = SendBudget(send_bytes)
        self._rules = rules
        self._slots = slots
        self._large = LargeMessages()
        self._strangers = Arrivals(MAX_STRANGERS)
        self._translate = translate

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        """Returns the handler of a method with all of this around it."""
        handler = await continuation(handler_call_details)
        behaviour = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
        kind = handler.request_deserializer.__self__  # it is the class's FromString
        method = Method(handler_call_details.method, behaviour, kind, handler.request_streaming)
        of_bytes: Any = (
            grpc.stream_stream_rpc_method_handler
            if handler.response_streaming
            else grpc.stream_unary_rpc_method_handler
        )

        async def with_bytes(_: object) -> Any:
            return of_bytes(method)

        return await super().intercept_service(with_bytes, handler_call_details)  # type: ignore[no-untyped-call]

    async def intercept(self, method: Method, _: object, context: Context, __: str) -> Any:  # type: ignore[override]
        """Returns the encoded response, or an iterator of them, or ends the call with an error. What comes in is read
        from the context."""
        since, request = self.calls.begin(method.name), None
        points = begin_call(consistency_token.required_by(current_metadata.get(())))
        if self._tracer is not None:
            current_span.set(self._tracer.begin_call(method.name, current_metadata.get(())))
        try:
            caller = await self._identity.admit(method.name)
            if caller is not None:
                self._rate_limits.take(caller.name, method.name)
                self._slots.take()
                context.add_done_callback(self._slots.leave)  # type: ignore[arg-type]  # the stub has a client's callback
                if (leave := self._stream_limits.enter(caller, method.name)) is not None:
                    context.add_done_callback(leave)  # type: ignore[arg-type]
            request = await self._request(method, context, caller)
            response = method.behaviour(request, context)
            if hasattr(response, "__aiter__"):
                response = _encoded(response)
                if caller is not None:
                    response = self._held(response, method.name, caller)
                return self._each(response, context, method.name, since, request, _name(caller), points)
            answer = (await self._in_time(response, context)).SerializeToString()
            if (token := _token(points)) is not None:
                context.set_trailing_metadata((token,))
                if _is_rest():
                    await context.send_initial_metadata((token,))  # the edge passes no trailers on to REST
            sent = self._sending.begin(_name(caller), len(answer))
            context.add_done_callback(lambda _: sent())  # type: ignore[arg-type]
        except Exception as error:
            await self._abort(error, context, method.name, since, request)
        except BaseException:
            self._end(method.name, _broken_off(context), since, request)
            raise
        self._end(method.name, "OK", since, request)
        return answer

    async def _in_time(self, response: Awaitable[Message], context: Context) -> Message:
        """Returns the response of a call; one without a deadline gets MAX_SECONDS."""
        if context.time_remaining() is not None:
            return await response
        try:
            async with asyncio.timeout(MAX_SECONDS) as limit:
                return await response
        except TimeoutError:
            if not limit.expired():
                raise
            raise DeadlinePassed.by_server(MAX_SECONDS) from None

    async def _request(self, method: Method, context: Context, caller: Caller | None) -> Any:
        """Returns the message that the method takes, or what gives it one after the other."""
        arrivals = self._strangers if caller is None else self._slots.arrivals
        if method.takes_stream:
            return self._messages(method, context, caller, arrivals)
        try:
            raw = await arrivals.message(context.read)
        except Overloaded:
            if method.name != HEALTH_CHECK:
                raise
            raw = b""  # as if it were about the server as a whole
        if raw is grpc.aio.EOF:
            raise FieldInvalid("", "the call ended without a message")
        if len(raw) > LARGE:
            left = await self._large.enter(_name(caller))
            context.add_done_callback(left)  # type: ignore[arg-type]  # the stub has a client's callback
        return await self._rules.read(raw, method.kind)

    async def _messages(
        self, method: Method, context: Context, caller: Caller | None, arrivals: Arrivals
    ) -> AsyncIterator[Any]:
        """What a stream brings in, each message as long as its caller may send it. Without a caller none may be long in
        coming."""
        raw = await arrivals.message(context.read)
        while raw is not grpc.aio.EOF:
            if caller is not None and await self._identity.admit(method.name) != caller:
                raise CredentialsInvalid.changed()
            yield await self._rules.read(raw, method.kind)
            raw = await (context.read() if caller is not None else arrivals.message(context.read))

    async def _held(
        self, responses: AsyncGenerator[bytes, None], method_name: str, caller: Caller
    ) -> AsyncGenerator[bytes, None]:
        """What a stream gives, as long as its caller may have it."""
        async with self._streams.hold(credential(), method_name, caller), aclosing(responses):
            async for response in responses:
                yield response
                del response  # the next may be hours away

    async def _each(
        self,
        responses: AsyncGenerator[bytes, None],
        context: Context,
        method_name: str,
        since: float,
        request: Any,
        name: str,
        points: CallPoints,
    ) -> AsyncIterator[bytes]:
        try:
            async with aclosing(responses):
                async for response in responses:
                    sent = self._sending.begin(name, len(response))
                    try:
                        yield response
                    finally:
                        sent()
                        del response
            if (token := _token(points)) is not None:
                context.set_trailing_metadata((token,))
        except Exception as error:
            await self._abort(error, context, method_name, since, request)
        except BaseException:
            self._end(method_name, _broken_off(context), since, request)
            raise
        self._end(method_name, "OK", since, request)

    async def _abort(
        self, error: Exception, context: Context, method_name: str, since: float, request: Any
    ) -> NoReturn:
        """Ends a call with an error. Unexpected errors are logged, and their text is not returned."""
        if isinstance(error, grpc.aio.AbortError):
            self._end(method_name, "UNKNOWN", since, request)
            raise error
        refusal = error if isinstance(error, Refusal) else self._translate(error)
        if refusal is None:
            incident = str(uuid.uuid4())
            log.error("%s failed, incident %s", method_name, incident, exc_info=error)
            refusal = InternalError(incident)
        self._end(method_name, refusal.code.name, since, request, refusal.reason)
        status: Any = rpc_status.to_status(status_of(refusal))
        http = HTTP_STATUS.get(refusal.reason)
        trailers = (*status.trailing_metadata, *([("x-http-status", http)] if http else []))
        if refusal.retry_after is not None:  # for HTTP, whose unit is the second (RFC 9110, 10.2.3)
            trailers = (*trailers, ("retry-after", str(max(1, ceil(refusal.retry_after)))))
        try:
            await context.abort(status.code, status.details, trailers)
        except grpc.aio.AbortError as abort:
            abort.__context__ = None
            context.add_done_callback(_forgetting(abort))  # type: ignore[arg-type]  # the stub has a client's callback
            raise

    def _end(self, method_name: str, code: str, since: float, request: Any, reason: str = "") -> None:
        """Counts the call, writes it to the log where that is wanted, and ends its span."""
        seconds = self.calls.end(method_name, code, since, reason)
        if self._log.accepted if code == "OK" else self._log.refused:
            self._log.note(method_name, code, reason, seconds, request)
        if self._tracer is not None:
            self._tracer.end_call(current_span.get()[0], code, reason)


def _forgetting(abort: grpc.aio.AbortError) -> Callable[[object], object]:
    """Returns what parts an exception from its stack. gRPC keeps it with the call that is on that stack, so a refused
    message of some megabytes would stay in memory until the garbage collector comes by."""
    return lambda _: abort.with_traceback(None)


def _token(points: CallPoints) -> tuple[str, str] | None:
    """Returns the header with which the caller's next calls see what this one changed."""
    reached = points.reached
    return None if reached is None else (consistency_token.HEADER, consistency_token.encode(reached))


def _is_rest() -> bool:
    return any(name == ORIGINAL_METHOD for name, _ in current_metadata.get(()))


def _name(caller: Caller | None) -> str:
    return "" if caller is None else caller.customer_id or caller.name


async def _encoded(responses: AsyncGenerator[Any, None]) -> AsyncGenerator[bytes, None]:
    """While one is sent, only its bytes are kept."""
    async with aclosing(responses):
        async for response in responses:
            encoded = response.SerializeToString()
            del response
            yield encoded


def _broken_off(context: Context) -> str:
    """The status that a caller sees whose call did not come to its end."""
    return "DEADLINE_EXCEEDED" if context.time_remaining() == 0 else "CANCELLED"
