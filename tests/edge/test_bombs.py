"""What is small on the wire and large in memory is refused while it is small."""

from __future__ import annotations

import gzip
import json
from typing import Any

import grpc
import pytest
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.any_pb2 import Any as AnyMessage

from tests.attack.bodies import BATCH, MIB, messages
from tests.edge.caller import Edge
from tests.shop import KEYS, Shop, open_channel, refused

pytestmark = pytest.mark.long

STOREFRONT = (("authorization", f"Bearer {KEYS['storefront']}"),)
WEBHOOK = "/stockward.webhook.v1.IncomingWebhookService/ReceivePmsWebhook"


@pytest.fixture(params=["server", "edge"])
def address(request: pytest.FixtureRequest, edge: Edge, edge_shop: Shop) -> str:
    """Where gRPC is spoken."""
    return edge.address if request.param == "edge" else edge_shop.address


@pytest.mark.parametrize(("method", "metadata"), [(BATCH, STOREFRONT), (WEBHOOK, ())])
async def test_a_compressed_message_is_refused(address: str, method: str, metadata: Any) -> None:
    """Nothing of ours sees it before it is decompressed."""
    async with open_channel(address) as channel:
        call: Any = channel.unary_unary(method)
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await call(bytes(MIB), metadata=metadata, compression=grpc.Compression.Gzip)
    assert error.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_compressed_message_over_grpc_web_is_refused(edge: Edge) -> None:
    packed = gzip.compress(bytes(MIB))
    answer = await edge.call(
        "POST",
        BATCH,
        b"\x01" + len(packed).to_bytes(4) + packed,
        by="storefront",
        headers={"content-type": "application/grpc-web+proto", "grpc-encoding": "gzip"},
    )
    assert answer.headers["grpc-status"] == str(grpc.StatusCode.UNIMPLEMENTED.value[0])


async def test_a_compressed_body_is_no_json(edge: Edge) -> None:
    packed = gzip.compress(json.dumps({"reference": "x" * MIB}).encode())
    answer = await edge.call(
        "POST", "/api/storefront/orders/create", packed, headers={"content-encoding": "gzip"}, by="storefront"
    )
    assert (answer.http, answer.reason) == (400, "REQUEST_MALFORMED")


@pytest.mark.parametrize("name", messages(MIB))
async def test_messages_that_are_full_of_one_thing(address: str, name: str) -> None:
    method, raw = messages(MIB)[name]
    async with open_channel(address) as channel:
        call: Any = channel.unary_unary(method)
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await call(raw)
        assert error.value.code() is grpc.StatusCode.UNAUTHENTICATED
        code = await call(raw, metadata=STOREFRONT).code()
    orders_are_refused_one_by_one = grpc.StatusCode.OK
    assert code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED, orders_are_refused_one_by_one)


async def test_what_is_attached_to_a_webhook_is_refused_before_it_is_parsed(edge_shop: Shop) -> None:
    for count in (1, 100_000):
        refusal = await refused(
            edge_shop.keyless.incoming.ReceivePmsWebhook(HttpBody(data=b"{}", extensions=[AnyMessage()] * count))
        )
        assert (refusal.reason, refusal.fields) == ("FIELD_INVALID", ["extensions"])
