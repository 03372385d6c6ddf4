"""What the Python clients do when a call fails in the middle: against a server that answers as the test asks."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from stockward.inventory.v1.inventory_pb2 import SyncStockRequest, WatchStockRequest, WatchStockResponse
from stockward.order.v1.order_pb2 import CreateOrderRequest, Order

from stockward_client import AsyncStockward, Stockward, Unavailable
from tests.handlers import serving

Step = Sequence[Message | grpc.StatusCode | status_pb2.Status]
"""The answer to one call: messages, and perhaps a failure at the end."""


class Scripted(grpc.GenericRpcHandler):
    """A server that answers each call by the next step, and notes what was asked."""

    def __init__(self, *steps: Step) -> None:
        self._steps = iter(steps)
        self.requests: list[bytes] = []
        self.keys: list[str] = []
        self.deadlines: list[float] = []
        """Seconds that each call was given."""

    def service(self, details: Any) -> Any:
        async def answer(request: bytes, context: Any) -> AsyncIterator[bytes]:
            self.requests.append(request)
            self.keys.append(str(dict(details.invocation_metadata)["authorization"]))
            self.deadlines.append(context.time_remaining() or 0)
            for each in next(self._steps):
                if isinstance(each, grpc.StatusCode):
                    await context.abort(each, "in the middle of it")
                elif isinstance(each, status_pb2.Status):
                    await context.abort_with_status(rpc_status.to_status(each))
                else:
                    yield each.SerializeToString()

        return grpc.unary_stream_rpc_method_handler(answer)


def numbered_keys() -> Iterator[str]:
    return (f"key-{number}" for number in itertools.count(1))


async def order(kind: str, address: str, keys: Iterator[str], **options: Any) -> Order:
    """Made by one of the two clients."""
    line = CreateOrderRequest.Line(sku="MUG", quantity=1)
    if kind == "async":
        async with AsyncStockward(address, lambda: next(keys), **options) as client:
            return await client.orders.create_order(lines=[line])

    def ordered() -> Order:
        with Stockward(address, lambda: next(keys), **options) as client:
            return client.orders.create_order(lines=[line])

    return await asyncio.to_thread(ordered)


async def watch(kind: str, address: str, count: int) -> list[str]:
    """The cursors of the first responses."""
    if kind == "async":
        async with AsyncStockward(address, "key") as client:
            watching = client.inventory.watch_stock(skus=["MUG"])
            return [(await anext(watching)).cursor for _ in range(count)]

    def watched() -> list[str]:
        with Stockward(address, "key") as client:
            return [each.cursor for each in itertools.islice(client.inventory.watch_stock(skus=["MUG"]), count)]

    return await asyncio.to_thread(watched)


def states(*cursors: str) -> Iterable[WatchStockResponse]:
    return (WatchStockResponse(cursor=cursor) for cursor in cursors)


def refusal(code: grpc.StatusCode, reason: str) -> status_pb2.Status:
    refused = status_pb2.Status(code=code.value[0], message="no")
    refused.details.add().Pack(error_details_pb2.ErrorInfo(reason=reason, domain="stockward"))
    return refused


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_every_attempt_has_the_same_request_id_and_a_key_of_its_own(kind: str) -> None:
    stopping = [grpc.StatusCode.CANCELLED]  # what gRPC answers to calls that come while it stops
    server = Scripted([grpc.StatusCode.UNAVAILABLE], stopping, [Order(order_id="1")])
    async with serving(server) as address:
        assert (await order(kind, address, numbered_keys(), timeout=5)).order_id == "1"
    request_ids = {CreateOrderRequest.FromString(each).request_id for each in server.requests}
    assert len(request_ids) == 1
    assert "" not in request_ids
    assert server.keys == ["Bearer key-1", "Bearer key-2", "Bearer key-3"]
    first, _, last = server.deadlines
    assert last < first - 0.1, "all attempts have one deadline, and there are pauses of 0.15 s between them"


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_a_call_that_may_not_be_retried_has_one_attempt(kind: str) -> None:
    away = [grpc.StatusCode.UNAVAILABLE]
    server = Scripted(away, [Order(order_id="1")])
    async with serving(server) as address:
        with pytest.raises(Unavailable):
            await order(kind, address, numbered_keys(), retry_for=0)
    assert server.keys == ["Bearer key-1"]


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_a_watch_goes_on_after_its_last_cursor_or_from_the_present_state(kind: str) -> None:
    server = Scripted(
        [*states("", "a", "b"), grpc.StatusCode.UNAVAILABLE],
        [*states("c")],
        [*states("d"), grpc.StatusCode.ABORTED],
        [refusal(grpc.StatusCode.OUT_OF_RANGE, "CURSOR_EXPIRED")],
        [*states("", "e")],
        [refusal(grpc.StatusCode.OUT_OF_RANGE, "CURSOR_LOST")],
        [*states("f")],
    )
    async with serving(server) as address:
        assert await watch(kind, address, 8) == ["", "a", "b", "c", "d", "", "e", "f"]
    asked = [WatchStockRequest.FromString(each).cursor for each in server.requests]
    assert asked == ["", "b", "c", "d", "", "e", ""]


class Uploads(grpc.GenericRpcHandler):
    """A server that notes what is uploaded."""

    def __init__(self) -> None:
        self.requests: list[SyncStockRequest] = []

    def service(self, details: Any) -> Any:
        async def answer(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
            async for each in requests:
                self.requests.append(SyncStockRequest.FromString(each))
                yield b""

        return grpc.stream_stream_rpc_method_handler(answer)


async def test_every_message_of_an_upload_has_a_request_id_of_its_own() -> None:
    rows = [SyncStockRequest(request_id=each) for each in ("", "mine", "")]

    async def made_slowly() -> AsyncIterator[SyncStockRequest]:
        for each in rows:
            yield SyncStockRequest(request_id=each.request_id)

    def uploaded(address: str) -> int:
        with Stockward(address, "key") as client:
            return len([*client.inventory.sync_stock(SyncStockRequest(request_id=each.request_id) for each in rows)])

    server = Uploads()
    async with serving(server) as address:
        assert await asyncio.to_thread(uploaded, address) == 3
        async with AsyncStockward(address, "key") as client:
            assert len([each async for each in client.inventory.sync_stock(made_slowly())]) == 3
            assert len([each async for each in client.inventory.sync_stock(rows)]) == 3
    request_ids = [each.request_id for each in server.requests]
    assert len(request_ids) == 9
    assert request_ids.count("mine") == 3
    assert len({*request_ids} - {""}) == 7
