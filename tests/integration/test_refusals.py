"""What was refused, or failed, has written nothing; the same request does its work once afterwards. Through the
committer, gRPC and signed webhooks."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.rpc import status_pb2
from pydantic import SecretStr
from stockward.catalog.v1 import catalog_pb2 as catalog
from stockward.event.v1 import event_pb2 as events
from stockward.order.v1 import order_pb2 as orders

from stockward_server.api.events.encoder import encode_event
from stockward_server.application.context import MutationContext
from stockward_server.application.unit_of_work import UnitOfWork
from stockward_server.config import Settings
from stockward_server.domain.errors import SkuUnknown
from stockward_server.storage.database import Executor, Pool
from stockward_server.storage.write.mutation import Mutations
from tests.command_examples import EXAMPLES, tripped
from tests.commands import RESULT, buy, committing, request, sell, verify
from tests.incoming import SECRET, body_of, post, signed
from tests.mutations import MUTATIONS, as_repeated
from tests.shop import Shop, money, refused, running_shop
from tests.snapshot import nothing_written, snapshot

NO_EVENTS = {
    *("CreateLocation", "UpdateLocation", "CreateEndpoint", "UpdateEndpoint", "DeleteEndpoint", "EnableEndpoint"),
    "DisableEndpoint",
    *("RotateSecret", "ExpireSecrets", "RetryDelivery", "SkipDelivery", "RecoverDeliveries", "ReplayEvents"),
}
"""Settings, whose changes have no event."""


@pytest.fixture
async def shop(settings: Settings) -> AsyncIterator[Shop]:
    """With a secret for webhooks."""
    async with running_shop(settings.model_copy(update={"webhook_secret": SecretStr(SECRET)})) as shop:
        yield shop


@contextmanager
def refusing_late() -> Iterator[None]:
    """Whatever records an event is refused right after it."""
    record = UnitOfWork.record

    def refuse(self: UnitOfWork, *arguments: Any) -> None:
        record(self, *arguments)
        raise SkuUnknown("TEE")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(UnitOfWork, "record", refuse)
        yield


@pytest.mark.parametrize("name", EXAMPLES)
async def test_a_command_that_fails_anywhere_writes_nothing_and_spares_its_batch(
    database: Pool, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    caplog.set_level(logging.CRITICAL)
    await sell(database, MUG=200, CAP=200)
    await database.execute("INSERT INTO locations SELECT 'north', name, 1, active, create_time FROM locations")
    async with committing(database) as committer:
        command = await EXAMPLES[name][1](committer.submit)
        before = await snapshot(database)

        def failing(at: int, error: Exception) -> Any:
            asked = isinstance(command.cause, MutationContext)
            return tripped(replace(command, cause=request()) if asked else command, at, error)

        whole = failing(10**9, RuntimeError("a defect"))
        with pytest.raises(RuntimeError):
            await committer.submit(whole)
        failures = [
            failing(at, error)
            for at in range(1, whole.wire.looks + 1)
            for error in (SkuUnknown("MUG"), RuntimeError("a defect"))
        ]
        outcomes = await asyncio.gather(*map(committer.submit, failures), return_exceptions=True)
        assert outcomes == [each.wire.error for each in failures]
        assert await snapshot(database) == before

        neighbours = [buy(("MUG", 1)) for _ in range(4)]
        batch = [neighbours[0], *failures[-3:], neighbours[1], command, neighbours[2], *failures[:2], neighbours[3]]
        outcomes = await asyncio.gather(*map(committer.submit, batch), return_exceptions=True)
        assert [isinstance(each, Exception) for each in outcomes] == [each in failures for each in batch]
        after = await snapshot(database)
        assert str(await committer.submit(command)) == str(outcomes[5])
        assert await snapshot(database) == after
    await verify(database)


async def test_work_that_was_done_elsewhere_meanwhile_leaves_nothing_of_its_own(database: Pool) -> None:
    """A setting is written, then refused for what the same request did at another server: that answer is the one."""
    mutations, cause = Mutations(database, encode_event), request()

    async def elsewhere(connection: Executor, state: UnitOfWork) -> str:
        return "done elsewhere"

    async def here(connection: Executor, state: UnitOfWork) -> str:
        await connection.execute("INSERT INTO locations SELECT 'half', name, 1, active, create_time FROM locations")
        assert await mutations.run(cause, elsewhere, RESULT) == "done elsewhere"
        raise SkuUnknown("MUG")

    assert await mutations.run(cause, here, RESULT) == "done elsewhere"
    assert not await database.fetchval("SELECT count(*) FROM locations WHERE location_id = 'half'")


ROWS = {"SyncStock", "BatchSetStock"}
"""Calls that answer for each row, and of which one may be refused."""


@pytest.mark.parametrize("name", [name for name in MUTATIONS if name not in NO_EVENTS | ROWS])
async def test_a_call_that_is_refused_at_the_last_moment_has_done_nothing(shop: Shop, name: str) -> None:
    mutation = MUTATIONS[name]
    wanted: Any = (await mutation.arrange(shop))[0]
    wanted.request_id = str(uuid.uuid4())
    with refusing_late():
        async with nothing_written(shop.pool):
            answer = await mutation.send(shop.pms, wanted)
            assert isinstance(answer, status_pb2.Status)
    done = await mutation.send(shop.pms, wanted)
    assert not isinstance(done, status_pb2.Status), done
    async with nothing_written(shop.pool):
        assert await mutation.send(shop.pms, wanted) == as_repeated(done)


@pytest.mark.parametrize("name", sorted(ROWS))
async def test_a_row_that_is_refused_at_the_last_moment_has_done_nothing(shop: Shop, name: str) -> None:
    wanted: Any = (await MUTATIONS[name].arrange(shop))[0]
    before = await snapshot(shop.pool)
    with refusing_late():
        answer: Any = await MUTATIONS[name].send(shop.pms, wanted)
    assert answer.results[0].HasField("error")
    after = await snapshot(shop.pool)
    assert {table for table in before if before[table] != after[table]} == {"idempotency"}  # that is its answer


async def test_a_webhook_that_is_refused_at_the_last_moment_has_done_nothing(shop: Shop) -> None:
    await shop.sell("TEE", 5)
    order = await shop.order("TEE", 2)
    body = body_of("order.cancelled", {"orderId": order.order_id})
    with refusing_late():
        async with nothing_written(shop.pool):
            refusal = await refused(post(shop, "storefront", body, signed(body, "msg_1")))
    assert refusal.reason == "SKU_UNKNOWN"
    for _ in range(2):
        await post(shop, "storefront", body, signed(body, "msg_1"))
    assert await shop.counters("TEE") == (5, 0, 0)


@pytest.mark.parametrize("way", ["gRPC", "webhook"])
async def test_a_return_of_what_the_catalogue_dropped_counts_once_or_not_at_all(shop: Shop, way: str) -> None:
    product_id = await shop.sell("TEE", 2)
    order = await shop.order("TEE", 2)
    await shop.pay(order)
    await shop.pms.orders.ProcessOrder(orders.ProcessOrderRequest(order_id=order.order_id))
    await shop.pms.orders.FulfillOrder(orders.FulfillOrderRequest(order_id=order.order_id))
    other = catalog.Product(product_id=product_id, variants=[catalog.Variant(sku="CAP", price=money("5.00"))])
    await shop.pms.catalog.UpdateProduct(
        catalog.UpdateProductRequest(product=other, update_mask=FieldMask(paths=["variants"]))
    )
    wanted = orders.ReturnOrderRequest(
        order_id=order.order_id,
        lines=[orders.ReturnOrderRequest.Line(line_number=1, quantity=1)],
        request_id=str(uuid.uuid4()),
    )
    body = body_of("order.returned", {"orderId": order.order_id, "lines": [{"lineNumber": 1, "quantity": "1"}]})
    done = 0
    for _ in range(3):
        before = await snapshot(shop.pool)
        try:
            if way == "gRPC":
                await shop.pms.orders.ReturnOrder(wanted)
            else:
                await post(shop, "storefront", body, signed(body, "msg_1"))
            done = 1
        except grpc.aio.AioRpcError:
            assert await snapshot(shop.pool) == before
    now = await shop.pms.orders.GetOrder(orders.GetOrderRequest(order_id=order.order_id))
    record = await shop.admin.events.ListEvents(events.ListEventsRequest(types=["order.returned"]))
    assert (now.lines[0].returned, len(record.events)) == (done, done)
