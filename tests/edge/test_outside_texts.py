"""Texts from outside over HTTP: tokens in the query, bytes beyond ASCII in headers, signed bodies of any kind."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
from typing import Any
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as example_settings
from hypothesis import strategies as st
from stockward.order.v1.order_pb2 import ListOrdersRequest

from stockward_server.wire import page_token
from stockward_server.wire.cursor import PURPOSE
from stockward_server.wire.seal import Seal
from tests.contract.outside import NO_JSON, json_bytes, nothing_goes_wrong, odd_json, run
from tests.edge.caller import Edge
from tests.incoming import signed, stripe_signed
from tests.shop import KEYS, Shop

pytestmark = pytest.mark.long

any_number_of = example_settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "40")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)

FINE = {200, 400, 401, 403, 404, 405, 409, 413, 422, 429, 431}
"""Whose fault it is, if anybody's; not 500 and above."""


async def send(edge: Edge, verb: str, path: bytes, headers: list[tuple[str, bytes]], body: bytes = b"") -> str:
    """Bytes as they are, which no HTTP client would send; returns the reason, empty for what was done."""
    reader, writer = await asyncio.open_connection(*edge.address.split(":"))
    usual = [("host", b"edge"), ("connection", b"close"), ("content-length", str(len(body)).encode())]
    lines = [name.encode() + b": " + value for name, value in [*usual, *headers]]
    with nothing_goes_wrong():
        writer.write(b"\r\n".join([verb.encode() + b" " + path + b" HTTP/1.1", *lines, b"", body]))
        answer = await asyncio.wait_for(reader.read(), 20)
        writer.close()
    head, _, content = answer.partition(b"\r\n\r\n")
    http = int(head.split(maxsplit=2)[1])
    assert http in FINE, answer
    if http == 200 or not content:  # what is no HTTP is not answered in JSON
        assert http == 200 or http == 400, answer
        return ""
    if b"transfer-encoding: chunked" in head.lower():
        content = b"".join(content.split(b"\r\n")[1:-3:2])
    (info,) = (each for each in json.loads(content)["details"] if each["@type"].endswith("ErrorInfo"))
    return str(info["reason"])


def key(role: str) -> tuple[str, bytes]:
    return "authorization", f"Bearer {KEYS[role]}".encode()


async def test_tokens_in_the_query(edge: Edge, edge_shop: Shop) -> None:
    seal = Seal(await edge_shop.pool.fetchval("SELECT key FROM seal_key"))
    bound = page_token._arguments(ListOrdersRequest())
    contents = odd_json.map(json_bytes) | st.sampled_from([each for each in NO_JSON if len(each) < 3000])

    @any_number_of
    @given(contents.map(lambda content: seal.close(bound, content).encode()) | st.binary(max_size=200))
    async def lists(token: bytes) -> None:
        path = b"/api/pms/orders?pageToken=" + quote_from_bytes(token).encode()
        assert await send(edge, "GET", path, [key("pms")]) in (
            "",
            "PAGE_TOKEN_INVALID",
            "FIELD_INVALID",
            "REQUEST_MALFORMED",
        )

    @any_number_of
    @given(contents.map(lambda content: seal.close(PURPOSE, content).encode()) | st.binary(max_size=200))
    async def events(cursor: bytes) -> None:
        path = b"/api/pms/events?cursor=" + quote_from_bytes(cursor).encode()
        reason = await send(edge, "GET", path, [key("pms")])
        assert reason in ("", "PAGE_TOKEN_INVALID", "CURSOR_LOST", "FIELD_INVALID", "REQUEST_MALFORMED")

    await run(lists)
    await run(events)


NAMES = (
    *("authorization", "webhook-id", "webhook-timestamp", "webhook-signature", "stripe-signature", "traceparent"),
    *(
        "x-request-id",
        "x-forwarded-for",
        "grpc-timeout",
        "grpc-encoding",
        "content-type",
        "accept",
        "te",
        "x-http-status",
    ),
)
values = st.binary(max_size=60).map(lambda raw: raw.translate(None, b"\r\n\0").strip()) | st.sampled_from(
    [
        b"\xff\xfe",
        b"Bearer \xe9",
        b"Bearer a.\xed\xa0\x80.b",
        b"1" * 400,
        b"99999999H",
        b"v1,\xff",
        b"t=1,v1=\xe9",
        b"gzip",
    ]
)


async def test_bytes_beyond_ascii_in_headers(edge: Edge) -> None:
    body = json_bytes({"type": "order.processing", "data": {}})

    @any_number_of
    @given(
        st.sampled_from(["/api/pms/orders", "/api/pms/webhook", "/api/storefront/webhook/stripe"]),
        st.lists(st.tuples(st.sampled_from(NAMES), values), max_size=4),
    )
    @example("/api/pms/orders", [("authorization", b"Bearer a.\xed\xa0\x80.b")])
    @example("/api/pms/webhook", [("webhook-id", b"\xff"), ("webhook-timestamp", b"1"), ("webhook-signature", b"\xe9")])
    async def check(path: str, headers: list[tuple[str, bytes]]) -> None:
        verb = "POST" if "webhook" in path else "GET"
        await send(edge, verb, path.encode(), headers, body if verb == "POST" else b"")

    await run(check)


async def test_signed_bodies(edge: Edge) -> None:
    numbers = itertools.count()

    @any_number_of
    @given(
        odd_json.map(json_bytes) | st.sampled_from(NO_JSON), st.sampled_from(["pms", "storefront", "storefront/stripe"])
    )
    async def check(body: bytes, sender: str) -> None:
        ours: Any = stripe_signed(body) if "stripe" in sender else signed(body, f"edge_{next(numbers)}")
        headers = [(name, value.encode()) for name, value in ours.items()]
        sender = "storefront/webhook/stripe" if "stripe" in sender else f"{sender}/webhook"
        reason = await send(edge, "POST", f"/api/{sender}".encode(), headers, body)
        assert reason in ("", "WEBHOOK_BODY_INVALID", "WEBHOOK_TYPE_UNKNOWN", "WEBHOOK_SIGNATURE_INVALID")

    await run(check)
