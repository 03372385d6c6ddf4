"""Traces: one from the caller through commit and JetStream to the webhook, reported to a real OTLP receiver."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from stockward.inventory.v1 import inventory_pb2 as inventory
from stockward.order.v1 import order_pb2 as order

from stockward_dev import Nats, free_port
from stockward_server.bootstrap.database import ensure_key
from stockward_server.bootstrap.gateway import gateway
from stockward_server.bootstrap.relay import relay
from stockward_server.bootstrap.server import serve
from stockward_server.commands.processes import Process
from stockward_server.config import Settings
from stockward_server.storage.database import Pool
from tests.events import running, stored, until
from tests.receiver import SECRET, Hook, Receiver, receiver
from tests.scrape import ask
from tests.shop import KEYS, Shop, all_callers, refused

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACED = (("traceparent", f"00-{TRACE}-{CALLER}-01"),)


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Takes what an OpenTelemetry Collector takes, and keeps it."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Span]] = []
        """With the name of the service that made each."""

    async def Export(self, request: Any, context: Any) -> Any:
        for each in request.resource_spans:
            service = next(a.value.string_value for a in each.resource.attributes if a.key == "service.name")
            self.spans += [(service, span) for scope in each.scope_spans for span in scope.spans]
        return trace_service_pb2.ExportTraceServiceResponse()

    def of(self, service: str, trace: str = TRACE) -> list[Span]:
        return [span for name, span in self.spans if name == service and span.trace_id.hex() == trace]


def attributes(span: Span) -> dict[str, Any]:
    return {a.key: getattr(a.value, str(a.value.WhichOneof("value"))) for a in span.attributes}


@pytest.fixture
async def collector() -> AsyncIterator[tuple[Collector, str]]:
    found = Collector()
    server = grpc.aio.server()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(found, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield found, f"http://127.0.0.1:{port}"
    await server.stop(None)


def own_addresses() -> dict[str, str]:
    """Ports that nobody else has, by setting."""
    names = ("grpc_address", "server_admin_address", "relay_admin_address", "gateway_address")
    return {name: f"127.0.0.1:{free_port()}" for name in names}


async def begin(up: AsyncExitStack, settings: Settings, pool: Pool, **changes: Any) -> tuple[Shop, Receiver]:
    """Everything of a shop, until `up` ends."""
    hooks = await up.enter_async_context(receiver())
    given = {
        **settings.model_dump(exclude_unset=True),
        **own_addresses(),
        "storefront_webhook_url": hooks.url,
        "webhook_secret": SECRET,
        **changes,
    }
    settings = Settings.model_validate(given)
    for role, key in KEYS.items():
        await ensure_key(settings, role, role, key)
    for process in (serve, relay, gateway):
        await up.enter_async_context(running(functools.partial(process, settings)))

    async def ready() -> bool:
        return (await ask(settings.gateway_address, "/healthz"))[0] == 200

    await until(ready)
    stubs = all_callers(settings.grpc_address)
    for each in stubs.values():
        up.push_async_callback(each.channel.close)
    return Shop(settings.grpc_address, pool, stubs), hooks


def ordered(hooks: Receiver) -> list[Hook]:
    return [hook for hook in hooks.taken if hook.data["type"] == "order.created"]


CREATE = order.CreateOrderRequest(lines=[order.CreateOrderRequest.Line(sku="A", quantity=1)])


@pytest.fixture
async def nats_url(tmp_path: Path) -> AsyncIterator[str]:
    """Of a server of the test's own."""
    async with Nats(tmp_path / "nats", durable=False) as server:
        yield server.url


async def test_one_trace_runs_from_the_caller_to_the_webhook(
    settings: Settings, database: Pool, collector: tuple[Collector, str], nats_url: str
) -> None:
    found, endpoint = collector
    async with AsyncExitStack() as up:
        shop, hooks = await begin(up, settings, database, otlp_endpoint=endpoint)
        await shop.sell("A", 5)
        await shop.storefront.orders.CreateOrder(CREATE, metadata=TRACED)
        missing = inventory.GetAvailabilityRequest(sku="NONE")
        await refused(shop.storefront.inventory.GetAvailability(missing, metadata=TRACED))
        await until(lambda: ordered(hooks))
        messages = await stored(nats_url)
    # Everything has ended, so everything was sent.

    calls = {span.name: span for span in found.of("stockward-server")}
    call = calls["stockward.order.v1.OrderService/CreateOrder"]
    assert (call.parent_span_id.hex(), call.kind) == (CALLER, Span.SPAN_KIND_SERVER)
    assert attributes(call) == {
        "rpc.system": "grpc",
        "rpc.service": "stockward.order.v1.OrderService",
        "rpc.method": "CreateOrder",
        "rpc.grpc.status_code": 0,
    }
    refusal = attributes(calls["stockward.inventory.v1.InventoryService/GetAvailability"])
    assert (refusal["rpc.grpc.status_code"], refusal["error.type"]) == (5, "SKU_UNKNOWN")

    batches = [span for _, span in found.spans if span.name == "commit batch"]
    (batch,) = [span for span in batches if call.span_id in {link.span_id for link in span.links}]
    assert attributes(batch)["db.operation.batch.size"] == 1
    assert batch.start_time_unix_nano < batch.end_time_unix_nano

    sent = {attributes(span)["messaging.message.id"]: span for span in found.of("stockward-relay")}
    (hook,) = ordered(hooks)
    publish = sent[hook.event_id]
    assert (publish.name, publish.kind) == ("send order.created", Span.SPAN_KIND_PRODUCER)
    assert publish.parent_span_id == call.span_id
    (message,) = [m for m in messages if (m.headers or {})["Nats-Msg-Id"] == hook.event_id]
    assert message.headers is not None
    assert message.headers["ce-traceparent"] == f"00-{TRACE}-{publish.span_id.hex()}-01"

    (delivery,) = [s for s in found.of("stockward-gateway") if attributes(s)["messaging.message.id"] == hook.event_id]
    assert delivery.kind == Span.SPAN_KIND_CLIENT
    assert attributes(delivery)["http.response.status_code"] == 200
    assert hook.headers["traceparent"] == f"00-{TRACE}-{delivery.span_id.hex()}-01"


async def test_without_a_collector_the_callers_context_goes_on_all_the_same(
    settings: Settings, database: Pool, nats_url: str
) -> None:
    async with AsyncExitStack() as up:
        shop, hooks = await begin(up, settings, database)
        await shop.sell("A", 5)
        await shop.storefront.orders.CreateOrder(CREATE, metadata=(("traceparent", "nonsense"),))
        await until(lambda: len(ordered(hooks)) == 1)
        await shop.storefront.orders.CreateOrder(CREATE, metadata=TRACED)
        await until(lambda: len(ordered(hooks)) == 2)
    without, with_ = ordered(hooks)
    assert "traceparent" not in without.headers
    assert with_.headers["traceparent"] == TRACED[0][1]


@pytest.mark.timed
async def test_a_collector_that_is_away_costs_nobody_anything(
    settings: Settings, database: Pool, nats_url: str
) -> None:
    async with AsyncExitStack() as up:
        away = "http://127.0.0.1:1"
        shop, _ = await begin(up, settings, database, otlp_endpoint=away)
        async with asyncio.timeout(5):
            await shop.sell("A", 5)
            await shop.order("A")


@pytest.mark.parametrize("process", [serve, relay, gateway])
async def test_a_process_that_is_broken_off_while_it_starts_ends_with_its_traces(
    settings: Settings, process: Process
) -> None:
    """At whatever moment: the clients it waits with may lose a cancellation."""

    def sending() -> list[str]:
        return [each.name for each in threading.enumerate() if each.name.startswith("Otel")]

    nobody = "http://127.0.0.1:1"
    settings = settings.model_copy(update={"otlp_endpoint": nobody, **own_addresses()})
    for turns in range(60):
        task = asyncio.ensure_future(process(settings, asyncio.Event()))
        for _ in range(turns):
            await asyncio.sleep(0)
        assert turns < 5 or sending()
        task.cancel()
        async with asyncio.timeout(20):
            await asyncio.gather(task, return_exceptions=True)
        assert not sending()
