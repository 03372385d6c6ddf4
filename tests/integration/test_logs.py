"""The log: what each record says of its call, and what no record may say."""

from __future__ import annotations

import base64
import json
import logging
import sys
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import grpc
import pytest
from stockward.order.v1 import order_pb2 as order
from stockward.webhook.v1 import webhook_pb2 as webhooks

from stockward_dev import free_port
from stockward_server import __version__
from stockward_server.auth.identity import current_metadata
from stockward_server.bootstrap.database import ensure_key
from stockward_server.config import Settings, variable
from stockward_server.domain.errors import OrderNotFound
from stockward_server.observability import logs
from stockward_server.runtime.build import commit
from stockward_server.runtime.probes import grpc_serves
from stockward_server.storage.database import Pool
from tests.events import until
from tests.receiver import Receiver, receiver
from tests.scrape import ask
from tests.shop import Callers, Shop, callers
from tests.terminal import process

MARK = "zQ7marked"
"""Part of every secret and of everything personal."""

WEBHOOK_SECRET = "whsec_" + base64.b64encode(b"zQ7marked-zQ7marked-zQ7marked-zQ").decode()
TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLED = (("x-request-id", "call-4711"), ("traceparent", f"00-{TRACE}-b7ad6b7169203331-01"))


@dataclass
class Logged:
    """Server, relay and gateway as processes, and what they have written."""

    directory: Path
    shop: Shop
    pool: Pool
    receiver: Receiver
    admin: Sequence[str]

    @property
    def text(self) -> str:
        return "".join(log.read_text() for log in self.directory.glob("*.log"))

    def lines(self, logger: str) -> list[dict[str, Any]]:
        whole = [log.read_text().rpartition("\n")[0] for log in self.directory.glob("*.log")]  # the last may be half
        found = [json.loads(line) for text in whole for line in text.splitlines()]
        return [line for line in found if line["logger"] == logger]


@pytest.fixture
async def logged(settings: Settings, database: Pool, tmp_path: Path) -> AsyncIterator[Logged]:
    addresses = {
        name: f"127.0.0.1:{free_port()}"
        for name in ("grpc_address", "server_admin_address", "relay_admin_address", "gateway_address")
    }
    keys = {role: f"swk_{role}_{MARK}" for role in ("storefront", "viewer", "pms", "admin")}
    for role, key in keys.items():
        await ensure_key(settings, f"{role} desk", role, key)
    async with AsyncExitStack() as up:
        hooks = await up.enter_async_context(receiver())
        hooks.secret = WEBHOOK_SECRET
        environment = {
            **{variable(name): address for name, address in addresses.items()},
            variable("database_url"): settings.database_url.get_secret_value(),
            variable("event_queue_url"): settings.event_queue_url.get_secret_value(),
            variable("webhook_secret"): WEBHOOK_SECRET,
            variable("storefront_webhook_url"): f"{hooks.url}?token={MARK}",
            variable("log_level"): "debug",
            variable("log_format"): "json",
            variable("slow_batch_seconds"): "0.000001",
            "STOCKWARD_POOLSIZE": MARK,
        }
        for command in ("serve", "relay", "gateway"):
            await up.enter_async_context(process(command, tmp_path / f"{command}.log", environment))
        assert await grpc_serves(addresses["grpc_address"], 30)
        stubs = {role: callers(addresses["grpc_address"], key) for role, key in keys.items()}
        stubs["keyless"] = callers(addresses["grpc_address"], f"swk_unknown_{MARK}")
        for each in stubs.values():
            up.push_async_callback(each.channel.close)
        shop = Shop(addresses["grpc_address"], database, stubs)

        async def delivers() -> bool:
            return (await ask(addresses["gateway_address"], "/healthz"))[0] == 200

        await until(delivers)
        yield Logged(tmp_path, shop, database, hooks, list(addresses.values()))


CUSTOMER = order.Customer(
    customer_id="c-1",
    email=f"ada@{MARK}.example",
    name=f"Ada {MARK}",
    shipping_address=order.Address(
        recipient=f"Ada {MARK}", lines=[f"{MARK} Street 1"], city=MARK, country_code="IE", phone=f"+353 {MARK}"
    ),
)


def wanted(sku: str, **fields: Any) -> order.CreateOrderRequest:
    lines = [order.CreateOrderRequest.Line(sku=sku, quantity=1)]
    return order.CreateOrderRequest(lines=lines, customer=CUSTOMER, **fields)


async def code_of(call: Any) -> str:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code().name
    return "OK"


async def test_a_call_is_told_with_its_context_and_nothing_secret_or_personal_is(logged: Logged) -> None:
    shop = logged.shop
    await shop.sell("A", 5)
    request_id = str(uuid.uuid4())
    storefront: Callers = shop.storefront
    assert await code_of(storefront.orders.CreateOrder(wanted("A", request_id=request_id), metadata=CALLED)) == "OK"
    nameless = CALLED[1:]
    assert await code_of(storefront.orders.CreateOrder(wanted("A", request_id=request_id), metadata=nameless)) == "OK"
    assert await code_of(storefront.orders.CreateOrder(wanted("NONE"), metadata=CALLED)) == "NOT_FOUND"
    bad = wanted("A")
    bad.customer.email = MARK * 100
    assert await code_of(storefront.orders.CreateOrder(bad)) == "INVALID_ARGUMENT"
    assert await code_of(shop.keyless.orders.CreateOrder(wanted("A"))) == "UNAUTHENTICATED"
    assert await code_of(storefront.orders.CreateOrder(wanted("A"), metadata=(("x-request-id", MARK * 20),))) == "OK"
    endpoint = webhooks.Endpoint(url=f"{logged.receiver.url}?secret={MARK}", types=["*"], headers={"x-token": MARK})
    created = await shop.pms.webhooks.CreateEndpoint(webhooks.CreateEndpointRequest(endpoint=endpoint))

    # What nobody foresaw: PostgreSQL refuses the row, and quotes it.
    await logged.pool.execute("ALTER TABLE order_contacts ADD CONSTRAINT nobody CHECK (email = '') NOT VALID")
    assert await code_of(storefront.orders.CreateOrder(wanted("A"), metadata=CALLED)) == "INTERNAL"
    await logged.pool.execute("ALTER TABLE order_contacts DROP CONSTRAINT nobody")

    await until(lambda: len(logged.receiver.taken) > 5)
    await until(lambda: '"code": "INTERNAL"' in logged.text)

    lines = [line for line in logged.lines("stockward.calls") if line["method"].endswith("/CreateOrder")]
    calls = {line["code"]: line for line in lines}
    first, again = [line for line in lines if line["code"] == "OK"][:2]
    assert (first["request_id"], again["request_id"]) == ("call-4711", request_id), "the caller's header goes first"
    assert first["method"] == "/stockward.order.v1.OrderService/CreateOrder"
    assert (first["actor"], first["code"], first["trace_id"]) == ("storefront desk", "OK", TRACE)
    assert 0 < first["duration_ms"] < 10_000
    assert calls["NOT_FOUND"]["reason"] == "SKU_UNKNOWN"
    assert calls["NOT_FOUND"]["request_id"] == "call-4711"
    assert "actor" not in calls["UNAUTHENTICATED"]

    (unforeseen,) = [
        line for line in logged.lines("stockward_server.api.calls.interceptor") if line["level"] == "error"
    ]
    assert "incident" in unforeseen["message"]
    assert (unforeseen["trace_id"], unforeseen["actor"]) == (TRACE, "storefront desk")
    assert "SQLSTATE 23514 order_contacts nobody" in "\n".join(unforeseen["exception"])

    slow = logged.lines("stockward_server.storage.write.committer_metrics")
    assert slow[0]["batch_size"] == 1
    assert set(slow[0]["phases_ms"]) == {"begin", "lock", "decide", "write", "commit"}

    starts = [line for line in logged.lines("stockward_server.commands.processes") if "version" in line]
    assert [(line["version"], line["commit"]) for line in starts] == [(__version__, commit())] * 3
    assert logged.text.count("STOCKWARD_POOLSIZE is no setting and has no effect") == 3

    assert created.secret.startswith("whsec_")
    hidden = [MARK, WEBHOOK_SECRET.removeprefix("whsec_"), created.secret.removeprefix("whsec_")]
    assert not [secret for secret in hidden if secret.lower() in logged.text.lower()]


def record(error: BaseException, form: logging.Formatter) -> str:
    try:
        raise error
    except BaseException as raised:
        made = logging.LogRecord("x", logging.ERROR, __file__, 1, "it failed: %r", (raised,), sys.exc_info())
    logs.prepare(made)
    return form.format(made)


@pytest.mark.parametrize("form", [logs.TextLines(), logs.JsonLines()])
def test_exceptions_say_no_more_than_they_may(form: logging.Formatter) -> None:
    violation = asyncpg.UniqueViolationError(f"Key (email)=({MARK})")
    violation.constraint_name = "orders_pkey"
    for error in (
        violation,
        asyncpg.DataError(f"invalid input for query argument $1: '{MARK}'"),
        ValueError(MARK),
        KeyError(MARK),
        OrderNotFound(MARK),
    ):
        written = record(error, form)
        assert type(error).__name__ in written
        assert "in record" in written, "where it was raised is told"
        assert MARK not in written
    assert "orders_pkey" in record(violation, form)
    assert "ORDER_NOT_FOUND" in record(OrderNotFound("x"), form)
    assert "Connection refused" in record(ConnectionRefusedError(111, "Connection refused"), form)


def test_lines_for_people_and_for_machines() -> None:
    made = logging.LogRecord("shop", logging.INFO, __file__, 1, "done: %s", ("it",), None)
    made.trace_id = TRACE
    assert logs.TextLines().format(made).endswith(f"INFO shop: done: it [trace_id={TRACE}]")
    line = json.loads(logs.JsonLines().format(made))
    assert (line["level"], line["logger"], line["message"], line["trace_id"]) == ("info", "shop", "done: it", TRACE)


def test_a_request_id_is_not_a_way_to_write_what_one_likes_into_the_log() -> None:
    for value, known in (("a-1", True), ("a b", False), ("x" * 129, False), ('a"\n{}', False)):
        token = current_metadata.set((("x-request-id", value),))
        try:
            assert ("request_id" in logs.context()) is known
        finally:
            current_metadata.reset(token)
