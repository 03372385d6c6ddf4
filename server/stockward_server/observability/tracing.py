"""Traces with OpenTelemetry: one from the caller through the commit and JetStream to the webhook.

Loaded only where OTEL_EXPORTER_OTLP_ENDPOINT is set; everywhere else there is a None in its place. What a span says is
what the semantic conventions ask for: methods, statuses, ids; nothing that a customer has entered.
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
"""Statuses that are the server's fault, by the conventions for gRPC."""

MAX_LINKS = 128
"""Calls that a batch names; the SDK keeps no more."""

CLOSE_SECONDS = 1.0

_W3C = TraceContextTextMapPropagator()


class Tracing:
    """The spans of one process. `close` sends what is left."""

    def __init__(self, process: str, endpoint: str) -> None:
        """`endpoint`: URL of an OTLP collector (gRPC); http:// is plaintext. Sampling, headers and whatever else the
        OTEL_ variables of the SDK say is in force."""
        about = {SERVICE_NAME: f"stockward-{process}", SERVICE_NAMESPACE: "stockward", SERVICE_VERSION: __version__}
        self._provider = TracerProvider(resource=Resource.create(about))
        self._exporter = OTLPSpanExporter(endpoint=endpoint, insecure=endpoint.startswith("http://") or None)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("stockward", __version__)

    def close(self) -> None:
        """Blocks until what is left is sent, or CLOSE_SECONDS have passed: a collector that is away holds nobody up."""
        too_late = threading.Timer(CLOSE_SECONDS, self._exporter.shutdown)
        too_late.start()
        self._provider.shutdown()
        too_late.cancel()

    # Calls

    def begin_call(self, method: str, metadata: Metadata) -> tuple[Span, str]:
        """A span below the caller's, and what stands for it in what follows (a W3C traceparent)."""
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
        span.set_attribute("rpc.grpc.status_code", grpc.StatusCode[code].value[0])
        if reason:
            span.set_attribute("error.type", reason)
        if code in FAULTS:
            span.set_status(Status(StatusCode.ERROR, reason or code))
        span.end()

    # Batches

    def note_batch(self, calls: Sequence[str], seconds: float, phases: Mapping[str, float]) -> None:
        """A transaction that has just ended, linked to the calls (by their traceparents) that it was made for."""
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
        """A span an event, below the call that brought it about; gives the events with its traceparent each. What
        belongs to no trace begins none."""
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
        """A span below the call that brought the event about, and the traceparent of the request."""
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
        if status is not None:
            span.set_attribute("http.response.status_code", status)
        if error:
            span.set_status(Status(StatusCode.ERROR))
        span.end()


def _context(traceparent: str) -> Context:
    return _W3C.extract({"traceparent": traceparent}, Context())


def _traceparent(span: Span) -> str:
    """Of a span; empty for one that is none."""
    found = span.get_span_context()
    if not found.is_valid:
        return ""
    return f"00-{found.trace_id:032x}-{found.span_id:016x}-{found.trace_flags:02x}"
