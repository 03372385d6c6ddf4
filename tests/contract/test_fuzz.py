"""Whatever is sent, the answer is one that the contract knows, and a refusal has no effect."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from google.rpc.status_pb2 import Status

from stockward_dev import Nats
from stockward_server.config import Settings
from stockward_server.domain.errors import Code
from tests.contract.fuzz import Fuzzer
from tests.incoming import SECRET
from tests.known_shop import METHODS, Known, arrange
from tests.mutations import MUTATIONS
from tests.shop import KEYS, open_channel, running_shop
from tests.snapshot import snapshot
from torture.calls import reason_of

pytestmark = pytest.mark.long

CASES = int(os.environ.get("FUZZ_EXAMPLES", "20"))
"""Requests a method."""

MEBIBYTE = 1024 * 1024
UNREAD = 8 * MEBIBYTE
"""Bytes above which gRPC itself refuses a message, without details."""
SLOWEST = 5.0
"""Seconds that any answer may take."""

DOCUMENTED = {code.name for code in Code} - {"INTERNAL"}


@pytest.fixture(scope="module")
async def known(module_database_url: str, nats: Nats) -> AsyncIterator[Known]:
    """A shop of its own: what happens to be allowed is done."""
    settings = Settings.model_validate(
        {
            "database_url": module_database_url,
            "event_queue_url": nats.url,
            "webhook_secret": SECRET,
            "sweep_interval_seconds": 0.05,
        }
    )
    async with running_shop(settings) as shop:
        yield await arrange(shop)


async def send(channel: grpc.aio.Channel, method: MethodDescriptor, *raw: bytes) -> tuple[str, str]:
    """The bytes as they are, several where they are streamed; the code and the reason that they are answered with. Each
    answer of a stream is waited for; a watch is received once."""
    assert method.containing_service is not None
    path = f"/{method.containing_service.full_name}/{method.name}"
    kinds = [("stream" if streaming else "unary") for streaming in (method.client_streaming, method.server_streaming)]
    both = method.client_streaming and method.server_streaming
    sent: Any = None if both else iter(raw) if method.client_streaming else raw[0]
    metadata = (("authorization", f"Bearer {KEYS['admin']}"),)
    call: Any = getattr(channel, "_".join(kinds))(path)(sent, metadata=metadata, timeout=SLOWEST)
    try:
        if both:
            for each in raw:
                await call.write(each)
                answer = await call.read()
        else:
            answer = await (call.read() if method.server_streaming else call)
    except grpc.aio.AioRpcError as error:
        return error.code().name, reason_of(error)
    finally:
        call.cancel()
    if isinstance(answer, bytes):
        errors_of(GetMessageClass(method.output_type).FromString(answer))
    return "OK", ""


def errors_of(answer: Any) -> None:
    """Those of single rows are by the book, too."""
    for result in getattr(answer, "results", ()):
        if result.HasField("error"):
            assert Code(result.error.code).name in DOCUMENTED, result.error


async def alive(known: Known) -> None:
    """Others are served as ever."""
    assert (await known.shop.level("TEE")).sku == "TEE"


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
async def test_any_request_is_answered_by_the_book(known: Known, method: MethodDescriptor) -> None:
    texts = (*known.orders.values(), *known.holds.values(), *known.products.values(), "TEE", "MUG", "main")
    fuzzer = Fuzzer(Random(method.full_name), texts)
    refusals = 0
    async with open_channel(known.shop.address) as channel:
        before = await snapshot(known.shop.pool)
        for number in range(CASES):
            raw = [fuzzer.raw(method.input_type) for _ in range(number % 3 + 1 if method.client_streaming else 1)]
            case = f"{len(raw)} messages: {' '.join(each.hex()[:2000] for each in raw)}"
            start = time.monotonic()
            code, reason = await send(channel, method, *raw)
            assert time.monotonic() - start < SLOWEST, case
            if code == "OK" or len(raw) > 1:  # what came before the refused one of several was done
                now = await snapshot(known.shop.pool)
                assert now == before or not method.name.startswith(READS), case
                before = now
            if code != "OK":
                refusals += 1
                assert code in DOCUMENTED, case
                assert reason or max(map(len, raw)) > UNREAD, case
        assert await snapshot(known.shop.pool) == before, "a refusal had an effect"
    assert refusals or not method.input_type.fields
    await alive(known)


@pytest.mark.parametrize("name", MUTATIONS)
async def test_a_good_request_with_one_field_changed_is_done_or_refused(settings: Settings, name: str) -> None:
    """Such requests get past the first rule that a fuzzed one breaks; some of them are good ones still."""
    mutation, fuzzer = MUTATIONS[name], Fuzzer(Random(name), ("TEE", "main"))
    codes = Counter[str]()
    unswept = settings.model_copy(update={"sweep_interval_seconds": 60.0})  # what runs out is no effect of a refusal
    async with running_shop(unswept) as shop:
        for request in await mutation.arrange(shop):
            for _ in range(CASES):
                changed = type(request)()
                changed.CopyFrom(request)
                fuzzer.change(changed)
                before = await snapshot(shop.pool)
                answer = await mutation.send(shop.pms, changed)
                codes[Code(answer.code).name if isinstance(answer, Status) else "OK"] += 1
                assert not isinstance(answer, Status) or await snapshot(shop.pool) == before, changed
        await shop.verify()
    assert codes["OK"]
    assert codes.keys() <= {*DOCUMENTED, "OK"}


READS = ("Get", "List", "Read", "Count", "BatchGet", "Check", "Explain", "Verify", "Watch")


async def test_thousands_of_metadata_entries(known: Known) -> None:
    """They are refused, and the server goes on."""
    entries = tuple((f"x-{number}", "y" * 20) for number in range(3000))
    list_orders: Any = known.shop.pms.channel.unary_unary("/stockward.order.v1.OrderService/ListOrders")
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await list_orders(b"", metadata=entries, timeout=SLOWEST)
    assert error.value.code() in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE)
    await alive(known)


async def test_many_of_the_largest_messages_at_once(known: Known) -> None:
    """Each is 4 MiB of unknown fields: read, and refused or ignored."""
    raw = b"\x82\xb5\x18" + b"\xfc\xff\xff\x01" + bytes(4 * MEBIBYTE - 8)
    method = next(each for each in METHODS if each.name == "BatchCreateOrders")
    async with open_channel(known.shop.address) as channel:
        answers = await asyncio.gather(*(send(channel, method, raw) for _ in range(8)))
    assert {code for code, _ in answers} == {"INVALID_ARGUMENT"}, "there are no orders in it"
    await alive(known)
