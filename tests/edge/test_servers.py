"""Several servers behind one edge: they come and go, and no caller is to notice."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections import Counter
from contextlib import AsyncExitStack
from math import inf
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest

from stockward_dev import Envoy, free_port
from stockward_server.api.calls.interceptor import CallInterceptor
from stockward_server.config import Settings
from stockward_server.edge import Limits, envoy_config, installed_contract, pages
from stockward_server.edge.routes import SERVER_MARGIN_SECONDS
from stockward_server.runtime.probes import grpc_serves
from tests.edge.caller import Edge, load, more
from tests.edge.conftest import StartEdge
from tests.edge.test_rest import ROUTES, filled
from tests.events import until
from tests.handlers import serving
from tests.shop import Shop, open_channel, running_shop
from tests.terminal import clean_environment

pytestmark = pytest.mark.long


async def test_no_server_at_all(start_edge: StartEdge) -> None:
    async with start_edge("127.0.0.1:1") as edge:
        for verb, path, body in (
            ("GET", "/api/storefront/stock/TEE", None),
            ("POST", "/api/storefront/orders/create", {}),
        ):
            answer = await edge.call(verb, path, body)
            assert (answer.http, answer.reason) == (503, "SERVER_UNAVAILABLE")
            assert "connect" not in answer.json["message"], "how the edge reaches its servers is nobody's business"
        assert (await edge.call("GET", "/healthz", by=None)).http == 503


@pytest.mark.long
async def test_what_fails_is_logged_without_its_query(tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    files = {"envoy.json": envoy_config(installed_contract(), address, ["127.0.0.1:1"], pages=pages())}
    async with Envoy(tmp_path / "envoy", files, address=address) as envoy, aiohttp.ClientSession() as session:
        path = "/stockward.order.v1.OrderService/ListOrders"
        web = {"content-type": "application/grpc-web+proto", "authorization": "Bearer key"}
        async with session.post(f"{envoy.url}{path}?customer=ada", data=bytes(5), headers=web) as answer:
            assert answer.status == 503
        await until(lambda: path in envoy.log.read_text())  # it is written every ten seconds
        assert "ada" not in envoy.log.read_text()


async def test_one_server_of_two_is_enough(edge: Edge) -> None:
    """The other one is not there."""

    async def is_well() -> bool:  # a busy machine may be late to answer the edge's question
        return (await edge.call("GET", "/healthz", by=None)).http == 200

    await until(is_well)
    answers = await asyncio.gather(*(edge.call("GET", "/api/storefront/stock?skus=NONE") for _ in range(100)))
    assert {answer.http for answer in answers} == {200}


async def test_a_server_that_stops_is_not_noticed(
    edge_settings: Settings, edge_shop: Shop, start_edge: StartEdge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reads and orders all the while: no read fails, and an order that is sent until it is answered is placed once."""
    await edge_shop.sell("BUSY", 100_000)
    serving, intercept = set[int](), CallInterceptor.intercept

    async def noted(self: CallInterceptor, *arguments: Any) -> Any:
        serving.add(id(self))
        return await intercept(self, *arguments)

    monkeypatch.setattr(CallInterceptor, "intercept", noted)

    async def buy() -> None:
        await edge.get("/api/storefront/stock/BUSY", by="storefront")
        body = {"lines": [{"sku": "BUSY", "quantity": 1}], "requestId": str(uuid.uuid4())}
        answer = await edge.call("POST", "/api/storefront/orders/create", body, by="storefront")
        while answer.http in (499, 503):  # the server had begun with it, so the edge does not repeat it
            answer = await edge.call("POST", "/api/storefront/orders/create", body, by="storefront")
        assert answer.http == 200, answer.body

    async with AsyncExitStack() as stack:
        other = await stack.enter_async_context(running_shop(edge_settings))
        async with start_edge(edge_shop.address, other.address) as edge, load(buy, 8) as done:
            await until(lambda: len(serving) == 2)  # on a busy machine the edge may find one of them later
            await stack.aclose()
            await more(done, times=50)
    assert (await edge_shop.counters("BUSY"))[2] == len(done)


async def test_reads_do_not_notice_a_server_that_is_killed(
    edge_settings: Settings, edge_shop: Shop, start_edge: StartEdge
) -> None:
    address = f"127.0.0.1:{free_port()}"
    environment = clean_environment() | {
        "DATABASE_URL": edge_settings.database_url.get_secret_value(),
        "EVENT_QUEUE_URL": edge_settings.event_queue_url.get_secret_value(),
        "STOCKWARD_GRPC_ADDRESS": address,
    }
    command = (sys.executable, "-m", "stockward_server.cli", "serve")
    other = await asyncio.create_subprocess_exec(*command, env=environment, stderr=asyncio.subprocess.DEVNULL)
    try:
        await until(lambda: grpc_serves(address))

        async def look() -> None:
            await edge.get("/api/storefront/stock?skus=NONE", by="storefront")

        async with start_edge(edge_shop.address, address) as edge, load(look, 8) as done:
            await more(done, times=50)
            other.kill()
            await more(done, times=50)
    finally:
        if other.returncode is None:
            other.kill()
        await other.wait()


class FailingServer(grpc.GenericRpcHandler):
    """Receives calls and then fails, with `code`, as a server may that stops."""

    def __init__(self) -> None:
        self.code = grpc.StatusCode.UNAVAILABLE
        self.seen = Counter[str]()
        """How often each method was called."""
        self.longest = 0.0
        """Seconds that the caller who waits longest waits."""

    def service(self, details: Any) -> Any:
        async def fail(request: bytes, context: Any) -> None:
            self.seen[details.method] += 1
            remaining: float | None = context.time_remaining()
            self.longest = max(self.longest, inf if remaining is None else remaining)
            await context.abort(self.code, "in the middle of it")

        return grpc.unary_unary_rpc_method_handler(fail)


async def test_what_a_server_may_have_done_is_not_repeated(start_edge: StartEdge) -> None:
    """What only looks is, over REST, so that nobody notices. And a server knows how long the edge waits."""
    changing = [route for route in ROUTES if route.verb != "GET"]
    looking = next(route for route in ROUTES if route.verb == "GET")
    methods = {f"/{route.service}/{route.method.name}" for route in ROUTES}
    server = FailingServer()
    async with serving(server) as address, start_edge(address) as edge, open_channel(edge.address) as channel:
        for server.code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
            await asyncio.gather(*(edge.call(route.verb, filled(route), {}) for route in changing))
            assert server.seen == Counter(f"/{route.service}/{route.method.name}" for route in changing)
            assert server.longest <= Limits().call_seconds + SERVER_MARGIN_SECONDS
            server.seen.clear()
            stubs: list[Any] = [channel.unary_unary(method) for method in methods]
            credential = (("authorization", "Bearer key"),)
            await asyncio.gather(*(stub(b"", metadata=credential) for stub in stubs), return_exceptions=True)
            assert server.seen == Counter(methods)
            server.seen.clear()
            await edge.call(looking.verb, filled(looking))
            assert server.seen.total() > 1
            server.seen.clear()
            server.longest = 0.0
