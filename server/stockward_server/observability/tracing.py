"""Traces with OpenTelemetry: one from the caller through the commit and JetStream to the webhook.

Imported only where OTEL_EXPORTER_OTLP_ENDPOINT is set; elsewhere tracers are None. Spans have the attributes of
OpenTelemetry's semantic conventions: methods, statuses, ids; no input of customers.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import grpc
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_NAMESPACE, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from stockward_server import __version__
from stockward_server.api.calls.trace import Metadata
from stockward_server.storage.events.outbox import PendingEvent

FAULTS = frozenset({"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"})
"""gRPC statuses that are errors of the server, by OpenTelemetry's conventions for gRPC."""

MAX_LINKS = 128
"""Maximum of calls to which the span of a batch links; the SDK keeps no more."""

CLOSE_SECONDS = 1.0
"""Maximum of seconds for sending the last spans."""

_W3C = TraceContextTextMapPropagator()


class Tracing:
    """Creates and exports the spans of one process. `close` sends the last ones."""

    def __init__(self, process: str, endpoint: str) -> None:
        """`endpoint`: URL of an OTLP collector (gRPC); http:// is plaintext. The SDK's OTEL_ variables, such as those
        for sampling and headers, apply."""
        about = {SERVICE_NAME: f"stockward-{process}", SERVICE_NAMESPACE: "stockward", SERVICE_VERSION: __version__}
        self._provider = TracerProvider(resource=Resource.create(about))
        self._exporter = OTLPSpanExporter(endpoint=endpoint, insecure=endpoint.startswith("http://") or None)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("stockward", __version__)

    def close(self) -> None:
        """Blocks until the last spans are sent, or CLOSE_SECONDS have passed if the collector does not respond."""
        too_late = threading.Timer(CLOSE_SECONDS, self._exporter.shutdown)
        too_late.start()
        self._provider.shutdown()
        too_late.cancel()

    # Calls

    def begin_call(self, method: str, metadata: Metadata) -> tuple[Span, str]:
        """Starts a span below the caller's; returns it with its W3C traceparent."""
        service, _, name = method.removeprefix("/").partition("/")
        carried = {key: value for key, value in metadata if key in _W3C.fields and isinstance(value, str)}
        span = self._tracer.start_span(
            f"{service}/{name}",
            context=_W3C.extract(carried, Context()),
            kind=SpanKind.SERVER,
            attributes={"rpc.system": "grpc", "rpc.service": service, "rpc.method": name},
        )
        return span, _traceparent(span)

    def end_call(self, span: Span, code: str, reason: str) -> None:
        """Ends the span of a call. `code` is the name of a gRPC status, `reason` that of the error or empty."""
        span.set_attribute("rpc.grpc.status_code", grpc.StatusCode[code].value[0])
        if reason:
            span.set_attribute("error.type", reason)
        if code in FAULTS:
            span.set_status(Status(StatusCode.ERROR, reason or code))
        span.end()

    # Batches

    def note_batch(self, calls: Sequence[str], seconds: float, phases: Mapping[str, float]) -> None:
        """Records a span for a transaction that has just ended and took `seconds`, with links to its calls (by their
        traceparents); `phases` has the seconds of each part."""
        links = [Link(get_current_span(_context(each)).get_span_context()) for each in calls if each][:MAX_LINKS]
        end = time.time_ns()
        span = self._tracer.start_span(
            "commit batch",
            context=Context(),
            kind=SpanKind.INTERNAL,
            links=links,
            start_time=end - int(seconds * 1e9),
            attributes={
                "db.system.name": "postgresql",
                "db.operation.batch.size": len(calls),
                **{f"stockward.batch.{phase}_seconds": spent for phase, spent in phases.items()},
            },
        )
        span.end(end)

    # Events

    @contextmanager
    def publishing(self, events: Sequence[PendingEvent]) -> Iterator[Sequence[PendingEvent]]:
        """Opens a span for each event, below the call that caused it; yields the events with the traceparents of the
        spans. An event that belongs to no trace gets no span."""
        spans = {event.event_id: self._publish(event) for event in events if event.traceparent}
        try:
            yield [
                replace(event, traceparent=_traceparent(spans[event.event_id])) if event.traceparent else event
                for event in events
            ]
        except BaseException as error:
            for span in spans.values():
                span.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise
        finally:
            for span in spans.values():
                span.end()

    def _publish(self, event: PendingEvent) -> Span:
        return self._tracer.start_span(
            f"send {event.type}",
            context=_context(event.traceparent),
            kind=SpanKind.PRODUCER,
            attributes={
                "messaging.system": "nats",
                "messaging.operation.type": "send",
                "messaging.operation.name": "publish",
                "messaging.message.id": event.event_id,
            },
        )

    # Webhooks

    def begin_delivery(self, endpoint_id: str, event_id: str, traceparent: str) -> tuple[Span, str]:
        """Starts a span below the call that caused the event; returns it with the traceparent for the request."""
        span = self._tracer.start_span(
            "POST",
            context=_context(traceparent),
            kind=SpanKind.CLIENT,
            attributes={
                "http.request.method": "POST",
                "stockward.endpoint.id": endpoint_id,
                "messaging.message.id": event_id,
            },
        )
        return span, _traceparent(span)

    def end_delivery(self, span: Span, status: int | None, error: str) -> None:
        """Ends the span of a request. `status` is the HTTP status, None without a response; `error` may be empty."""
        if status is not None:
            span.set_attribute("http.response.status_code", status)
        if error:
            span.set_status(Status(StatusCode.ERROR))
        span.end()


def _context(traceparent: str) -> Context:
    return _W3C.extract({"traceparent": traceparent}, Context())


def _traceparent(span: Span) -> str:
    """Returns the W3C traceparent of a span; empty for an invalid span."""
    found = span.get_span_context()
    if not found.is_valid:
        return ""
    return f"00-{found.trace_id:032x}-{found.span_id:016x}-{found.trace_flags:02x}"
