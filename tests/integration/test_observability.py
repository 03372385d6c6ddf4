"""How the processes do: metrics, liveness and readiness, with what they depend on really cut off."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import platform
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from aiohttp import web
from grpc_health.v1 import health_pb2, health_pb2_grpc
from stockward.inventory.v1 import inventory_pb2 as inventory

from stockward_dev import Nats, free_port
from stockward_server import __version__
from stockward_server.api.server import SERVICES
from stockward_server.bootstrap.database import ensure_key
from stockward_server.bootstrap.gateway import gateway
from stockward_server.bootstrap.relay import relay
from stockward_server.bootstrap.server import serve
from stockward_server.config import Settings
from stockward_server.observability import exposition, readiness
from stockward_server.runtime.build import commit
from stockward_server.runtime.probes import grpc_serves
from stockward_server.storage.database import Pool
from tests.commands import locked
from tests.events import running, until
from tests.faults.proxy import PostgresProxy
from tests.receiver import SECRET, Receiver, receiver
from tests.scrape import ask, scrape, value
from tests.shop import KEYS, Shop, all_callers, open_channel, refused

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@dataclass
class Stack:
    """Server, relay and gateway in this process, with a proxy before PostgreSQL and a NATS of their own."""

    settings: Settings
    proxy: PostgresProxy
    nats: Nats
    receiver: Receiver
    shop: Shop

    @property
    def admin(self) -> dict[str, str]:
        return {
            "server": self.settings.server_admin_address,
            "relay": self.settings.relay_admin_address,
            "gateway": self.settings.gateway_address,
        }

    async def health(self, service: str = "") -> int:
        async with open_channel(self.settings.grpc_address) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=30)
            return int(answer.status)

    async def statuses(self, path: str) -> dict[str, int]:
        return {name: (await ask(address, path))[0] for name, address in self.admin.items()}


@pytest.fixture
async def stack(
    settings: Settings, database: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Stack]:
    monkeypatch.setattr(readiness, "CHECK_SECONDS", 0.2)
    monkeypatch.setattr(readiness, "ANSWER_SECONDS", 3.0)
    monkeypatch.setattr(exposition, "FRESH_SECONDS", 0.0)
    async with AsyncExitStack() as up:
        nats = await up.enter_async_context(Nats(tmp_path / "nats", durable=False))
        proxy = await up.enter_async_context(PostgresProxy(settings.database_url.get_secret_value()))
        hooks = await up.enter_async_context(receiver())
        ports = ("grpc_address", "server_admin_address", "relay_admin_address", "gateway_address")
        settings = Settings.model_validate(
            {
                **settings.model_dump(exclude_unset=True),
                **{port: f"127.0.0.1:{free_port()}" for port in ports},
                "database_url": proxy.url,
                "event_queue_url": nats.url,
                "storefront_webhook_url": hooks.url,
                "webhook_secret": SECRET,
            }
        )
        for role, key in KEYS.items():
            await ensure_key(settings, role, role, key)
        for process in (serve, relay, gateway):
            await up.enter_async_context(running(functools.partial(process, settings)))
        stubs = all_callers(settings.grpc_address)
        for each in stubs.values():
            up.push_async_callback(each.channel.close)
        found = Stack(settings, proxy, nats, hooks, Shop(settings.grpc_address, database, stubs))
        await until(lambda: _all(found, "/readyz", 200))
        await until(lambda: _all(found, "/healthz", 404, 404, 200))
        await until(lambda: _connected(found))
        yield found


async def _all(stack: Stack, path: str, *expected: int) -> bool:
    found = list((await stack.statuses(path)).values())
    return found == list(expected if len(expected) > 1 else expected * 3)


async def _connected(stack: Stack) -> bool:
    samples = [await scrape(stack.admin[name]) for name in ("server", "relay")]
    return all(value(each, "stockward_nats_connected") for each in samples)


async def test_metrics_tell_what_was_done(stack: Stack) -> None:
    shop = stack.shop
    await shop.sell("A", 5)
    await shop.order("A", 2)
    await refused(shop.order("A", 99))
    await refused(shop.keyless.inventory.GetAvailability(inventory.GetAvailabilityRequest(sku="A")))
    for _ in range(2):
        await shop.storefront.inventory.GetAvailability(inventory.GetAvailabilityRequest(sku="A"))
    await until(lambda: "order.created" in {hook.data["type"] for hook in stack.receiver.taken})

    events = await shop.pool.fetchval("SELECT count(*) FROM events")

    async def done() -> bool:  # what was sent is counted and written down a moment later
        relay, gateway = [await scrape(stack.admin[name]) for name in ("relay", "gateway")]
        return (
            value(relay, "messaging_client_sent_messages_total") >= events
            and value(gateway, "messaging_client_consumed_messages_total") >= events
            and value(gateway, "stockward_delivery_attempts_total") >= len(stack.receiver.taken)
            and not value(gateway, "stockward_deliveries_pending")
        )

    await until(done)
    server, relay, gateway = [await scrape(address) for address in stack.admin.values()]

    build = {"version": __version__, "commit": commit(), "python": platform.python_version()}
    assert all(value(each, "stockward_build_info", **build) == 1 for each in (server, relay, gateway))

    orders = {"rpc_service": "stockward.order.v1.OrderService", "rpc_method": "CreateOrder"}
    calls = "rpc_server_duration_seconds_count"
    assert value(server, calls, **orders, rpc_grpc_status_code="OK") == 1
    assert value(server, calls, **orders, rpc_grpc_status_code="FAILED_PRECONDITION") == 1
    assert value(server, calls, rpc_grpc_status_code="UNAUTHENTICATED", rpc_method="GetAvailability") == 1
    assert value(server, "rpc_server_duration_seconds_bucket", **orders, rpc_grpc_status_code="OK", le="+Inf") == 1
    assert 0 < value(server, "rpc_server_duration_seconds_sum", **orders) < 10
    assert value(server, "rpc_server_active_requests") == 0
    assert value(server, "stockward_refusals_total", reason="INSUFFICIENT_STOCK") == 1
    assert value(server, "stockward_committer_commands_total") >= 3
    assert value(server, "stockward_committer_batch_size_commands_sum") == value(
        server, "stockward_committer_commands_total"
    )
    assert value(server, "stockward_committer_batch_duration_seconds_count") >= 1
    for phase in ("begin", "lock", "decide", "write", "commit"):
        assert value(server, "stockward_committer_phase_seconds_total", phase=phase) > 0
    assert value(server, "stockward_cache_hits_total", cache="availability") >= 1
    assert value(server, "stockward_cache_misses_total", cache="availability") >= 1
    assert value(server, "db_client_connection_max") == stack.settings.pool_size
    assert value(server, "db_client_connection_count") >= 1
    assert value(server, "process_cpu_seconds_total") > 0
    assert value(server, "stockward_event_loop_lag_seconds_count") >= 1

    assert value(relay, "messaging_client_sent_messages_total", messaging_system="nats") == events
    assert value(relay, "stockward_relay_shards") == 64
    assert value(gateway, "messaging_client_consumed_messages_total") == events
    taken = value(gateway, "stockward_delivery_attempts_total", endpoint_id="storefront", outcome="delivered")
    assert taken == len(stack.receiver.taken)
    assert value(gateway, "http_client_request_duration_seconds_count", http_response_status_code="200") == taken


async def test_metrics_tell_what_waits(stack: Stack) -> None:
    async def refuse(_: object) -> web.Response:
        return web.Response(status=500)

    stack.receiver.behaviour = refuse
    await stack.shop.sell("A", 5)
    await until(lambda: stack.receiver.hooks)

    async def failed() -> bool:
        found = await scrape(stack.admin["gateway"])
        return bool(
            value(found, "stockward_delivery_attempts_total", outcome="failed")
            and value(found, "stockward_deliveries_pending")
            and value(found, "stockward_endpoints_failing")
        )

    await until(failed)
    await stack.nats.kill()
    async with locked(stack.shop.pool, "A"):
        waiting = asyncio.create_task(stack.shop.receive("A", 1))

        async def in_flight() -> bool:
            found = await scrape(stack.admin["server"])
            return value(found, "rpc_server_active_requests", rpc_method="AdjustStock") == 1

        await until(in_flight)
    await waiting
    await until(lambda: _outbox_waits(stack))
    await until(lambda: _disconnected(stack))


async def _outbox_waits(stack: Stack) -> bool:
    found = await scrape(stack.admin["server"])  # also while no relay could tell
    return bool(
        value(found, "stockward_outbox_pending_events") and value(found, "stockward_outbox_oldest_age_seconds") > 0.1
    )


async def _disconnected(stack: Stack) -> bool:
    server, relay = [await scrape(stack.admin[name]) for name in ("server", "relay")]
    return (
        not value(server, "stockward_nats_connected")
        and not value(relay, "stockward_nats_connected")
        and value(relay, "stockward_relay_errors_total") >= 1
    )


# Liveness and readiness


@pytest.mark.long
async def test_without_nats_it_is_ready_and_without_postgresql_it_is_not(stack: Stack) -> None:
    names = ["", *(service.full_name for service in SERVICES)]
    assert [await stack.health(name) for name in names] == [SERVING] * len(names)
    with pytest.raises(grpc.aio.AioRpcError) as unknown:
        await stack.health("stockward.nothing.v1.Nothing")
    assert unknown.value.code() is grpc.StatusCode.NOT_FOUND

    await stack.nats.kill()
    await until(lambda: _disconnected(stack))
    await until(lambda: _all(stack, "/readyz", 200))
    assert await stack.health() == SERVING
    assert (await stack.shop.sell("B", 1)) != ""

    stack.proxy.open.clear()
    stack.proxy.reset()
    await until(lambda: _all(stack, "/readyz", 503))
    assert [await stack.health(name) for name in names] == [NOT_SERVING] * len(names)
    assert set((await stack.statuses("/livez")).values()) == {200}
    _, text = await ask(stack.admin["server"], "/readyz")
    assert json.loads(text) == {"status": "not ready", "database": "down", "stopping": False}
    assert value(await scrape(stack.admin["relay"]), "stockward_database_up") == 0

    stack.proxy.heal()
    await until(lambda: _all(stack, "/readyz", 200))
    assert await stack.health() == SERVING


async def test_a_server_that_drains_lives_and_is_not_ready(settings: Settings, database: Pool) -> None:
    admin = f"127.0.0.1:{free_port()}"
    settings = settings.model_copy(
        update={"grpc_address": f"127.0.0.1:{free_port()}", "server_admin_address": admin, "shutdown_grace_seconds": 20}
    )
    await ensure_key(settings, "pms", "pms", KEYS["pms"])
    stop = asyncio.Event()
    server = asyncio.create_task(serve(settings, stop))
    stubs = all_callers(settings.grpc_address)
    try:
        await until(lambda: _is(admin, "/readyz", 200))
        shop = Shop(settings.grpc_address, database, stubs)
        await shop.sell("A", 5)
        async with locked(database, "A"):
            call = asyncio.create_task(shop.receive("A", 1))

            async def under_way() -> bool:
                return value(await scrape(admin), "rpc_server_active_requests", rpc_method="AdjustStock") == 1

            await until(under_way)
            stop.set()
            await until(lambda: _is(admin, "/readyz", 503))
            assert await _is(admin, "/livez", 200)
            assert not call.done()
        assert (await call).on_hand == 6
    finally:
        for each in stubs.values():
            await each.channel.close()
        stop.set()
        await asyncio.wait_for(server, 20)
    assert await _is(admin, "/livez", 0)


async def test_a_port_that_is_taken_costs_the_metrics_and_not_the_shop(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", port)
    update = {"grpc_address": f"127.0.0.1:{free_port()}", "server_admin_address": f"127.0.0.1:{port}"}
    with caplog.at_level(logging.WARNING):
        async with taken, running(lambda stop: serve(settings.model_copy(update=update), stop)):
            stubs = all_callers(update["grpc_address"])
            await until(lambda: grpc_serves(update["grpc_address"]))
            for each in stubs.values():
                await each.channel.close()
    assert f"cannot listen on 127.0.0.1:{port}" in caplog.text


async def _is(address: str, path: str, status: int) -> bool:
    return (await ask(address, path))[0] == status
