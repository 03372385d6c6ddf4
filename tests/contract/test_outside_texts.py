"""Tokens, cursors, JSON Web Tokens, webhooks and headers with any content, rightly sealed and signed: the answer is a
documented one, and no error is logged. Signatures keep strangers out, not the mistakes of those who have a key."""

from __future__ import annotations

import base64
import itertools
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import grpc
import pytest
from buf.validate import validate_pb2
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, example, given
from hypothesis import settings as example_settings
from hypothesis import strategies as st
from stockward.catalog.v1 import catalog_pb2 as catalog
from stockward.event.v1.event_pb2 import ListEventsRequest
from stockward.inventory.v1 import inventory_pb2 as inventory
from stockward.order.v1 import order_pb2 as orders

from stockward_dev import Nats
from stockward_server.api.incoming_webhooks.stripe_events import READERS
from stockward_server.config import Settings
from stockward_server.domain.errors import Code
from stockward_server.wire import page_token
from stockward_server.wire.cursor import PURPOSE
from stockward_server.wire.seal import Seal
from tests.contract.outside import (
    NO_JSON,
    ODD_NUMBERS,
    ODD_TEXTS,
    data_of,
    json_bytes,
    nothing_goes_wrong,
    odd_json,
    odd_values,
    run,
)
from tests.incoming import SECRET, STRIPE_SECRET, signed, stripe_signed
from tests.issuer import AUDIENCE, ISSUER, Issuer
from tests.known_shop import METHODS, UNKNOWN_ID, Known, arrange
from tests.shop import Refused, running_shop
from tests.stripe import intent

pytestmark = pytest.mark.long

DOCUMENTED = {code.name for code in Code} - {"INTERNAL"}

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "40"))
"""For each method, type of webhook and kind of event."""

any_number_of = example_settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.fixture(scope="module")
async def known(
    module_database_url: str, nats: Nats, issuer: Issuer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Known]:
    """A shop of its own that takes all of these: what happens to be right is done."""
    key_set = tmp_path_factory.mktemp("issuer") / "keys.json"
    key_set.write_text(json.dumps(issuer.key_set()))
    settings = Settings.model_validate(
        {
            "database_url": module_database_url,
            "event_queue_url": nats.url,
            "webhook_secret": SECRET,
            "stripe_webhook_secret": STRIPE_SECRET,
            "sweep_interval_seconds": 0.05,
            "jwks_file": key_set,
            "jwt_issuer": ISSUER,
            "jwt_audience": AUDIENCE,
            "jwt_customer_claim": "customer",
            "log_calls": "all",
        }
    )
    async with running_shop(settings) as shop:
        yield await arrange(shop)


@pytest.fixture(scope="module")
async def seal(known: Known) -> Seal:
    return Seal(await known.shop.pool.fetchval("SELECT key FROM seal_key"))


async def answer_to(call: Any) -> tuple[str, str]:
    """The code and the reason of a call's answer, or of the first one of a stream."""
    refusal = None
    with nothing_goes_wrong():
        try:
            await (call.read() if hasattr(call, "read") else call)
        except grpc.aio.AioRpcError as error:
            refusal = Refused(error)
        finally:
            call.cancel()
    if refusal is None:
        return "OK", ""
    assert refusal.code.name in DOCUMENTED, refusal.status
    return refusal.code.name, refusal.reason


# Page tokens and cursors

RULES: Any = validate_pb2.field
LISTS = [method for method in METHODS if "page_token" in method.input_type.fields_by_name]

positions = st.lists(odd_values | st.just(UNKNOWN_ID), max_size=4) | odd_json
contents = positions.map(json_bytes) | st.sampled_from([each for each in NO_JSON if len(each) < 6000])


@pytest.mark.parametrize("method", LISTS, ids=lambda method: method.name)
async def test_a_page_token_with_any_content(known: Known, seal: Seal, method: MethodDescriptor) -> None:
    build: Any = GetMessageClass(method.input_type)
    filled = known.named(method) | known.endpoint(method)
    assert method.containing_service is not None
    call: Any = known.shop.admin.channel.unary_unary(
        f"/{method.containing_service.full_name}/{method.name}", lambda message: message.SerializeToString()
    )

    @any_number_of
    @given(contents, st.sampled_from(orders_of(method)))
    async def check(content: bytes, order_by: str) -> None:
        request = build(**filled)
        if "order_by" in method.input_type.fields_by_name and order_by:
            request.order_by = order_by
            if order_by == "relevance":
                request.search = "tee"
        request.page_token = seal.close(page_token._arguments(request), content)
        code, reason = await answer_to(call(request))
        assert reason in allowed(request.page_token), (code, reason)

    await run(check)


def orders_of(method: Any) -> list[str]:
    """What a list can be sorted by, as its contract names it."""
    field = method.input_type.fields_by_name.get("order_by")
    return ["", *getattr(field.GetOptions().Extensions[RULES].string, "in")] if field else [""]


def allowed(token: str) -> set[str]:
    """The reasons of answers to a request with such a token."""
    return {"", "PAGE_TOKEN_INVALID"} if len(token) <= 4096 else {"FIELD_INVALID"}


@pytest.mark.parametrize("name", ["RecoverDeliveries", "ReplayEvents"])
async def test_a_cursor_of_a_replay_with_any_content(known: Known, seal: Seal, name: str) -> None:
    method = next(each for each in METHODS if each.name == name)
    build: Any = GetMessageClass(method.input_type)
    stub = getattr(known.shop.admin.webhooks, name)

    @any_number_of
    @given(contents)
    async def check(content: bytes) -> None:
        request = build(endpoint_id=known.endpoints["ENABLED"])
        request.start_time.seconds = 1_790_000_000
        request.cursor = seal.close(page_token._arguments(request), content)
        _, reason = await answer_to(stub(request))
        assert reason in allowed(request.cursor)

    await run(check)


CURSORS: Mapping[str, Callable[[Known, str], Any]] = {
    "ListEvents": lambda known, cursor: known.shop.pms.events.ListEvents(ListEventsRequest(cursor=cursor)),
    "ListEvents for a storefront": lambda known, cursor: known.shop.storefront.events.ListEvents(
        ListEventsRequest(cursor=cursor, types=["order.*"])
    ),
    "WatchStock": lambda known, cursor: known.shop.pms.inventory.WatchStock(inventory.WatchStockRequest(cursor=cursor)),
    "WatchAvailability": lambda known, cursor: known.shop.storefront.inventory.WatchAvailability(
        inventory.WatchAvailabilityRequest(cursor=cursor, skus=["TEE"])
    ),
    "WatchOrders": lambda known, cursor: known.shop.pms.orders.WatchOrders(orders.WatchOrdersRequest(cursor=cursor)),
}


@pytest.mark.parametrize("name", CURSORS)
async def test_a_cursor_with_any_content(known: Known, seal: Seal, name: str) -> None:
    epoch = await known.shop.pool.fetchval("SELECT epoch FROM log_epochs")

    @any_number_of
    @given(st.tuples(st.just(epoch) | odd_values, odd_values).map(json_bytes) | contents, st.sampled_from(["", "AAA="]))
    @example(json_bytes([epoch, 3]), "")
    @example(json_bytes([epoch, 2**63 - 1]), "")
    @example(json_bytes(["other", 3]), "")
    async def check(content: bytes, before: str) -> None:
        cursor = before + seal.close(PURPOSE, content)
        code, reason = await answer_to(CURSORS[name](known, cursor))
        assert reason in {*allowed(cursor), "CURSOR_LOST"}, (code, reason)

    await run(check)


@pytest.mark.parametrize("field", ["page_token", "cursor"])
async def test_any_text_in_place_of_a_token(known: Known, field: str) -> None:
    @any_number_of
    @given(st.sampled_from([each for each in ODD_TEXTS if each.isprintable() or each == "\0"]) | st.text(max_size=5000))
    async def check(text: str) -> None:
        shop = known.shop
        call = (
            shop.pms.orders.ListOrders(orders.ListOrdersRequest(page_token=text))
            if field == "page_token"
            else shop.pms.events.ListEvents(ListEventsRequest(cursor=text))
        )
        code, reason = await answer_to(call)
        assert (code, reason) in {
            ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID"),
            ("INVALID_ARGUMENT", "FIELD_INVALID"),  # too long
        } or not text

    await run(check)


# JSON Web Tokens


def segment(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


CLAIMS = ("exp", "nbf", "iat", "sub", "aud", "iss", "role", "customer", "jti", "act")
HEADERS = ("kid", "crit", "b64", "typ", "cty", "jku", "jwk", "x5c", "alg")

claims = st.dictionaries(st.sampled_from(CLAIMS), odd_json, max_size=3)
heads = st.dictionaries(st.sampled_from(HEADERS), odd_json, max_size=2)
raw_heads = st.none() | st.sampled_from(NO_JSON)


async def test_a_json_web_token_that_says_anything(known: Known, issuer: Issuer) -> None:
    key, algorithm = issuer.private["key"]
    assert algorithm == "EdDSA"

    @example_settings(any_number_of, max_examples=8 * EXAMPLES)
    @given(claims, heads, raw_heads, raw_heads, st.sampled_from(["storefront", "pms"]))
    @example({"exp": 10**400}, {}, None, None, "pms")
    @example({"sub": "\ud800"}, {}, None, None, "pms")
    @example({"customer": "\ud800"}, {}, None, None, "storefront")
    @example({"customer": 10**400}, {}, None, None, "storefront")
    @example({"role": ["\ud800"]}, {"kid": "\ud800"}, None, None, "pms")
    async def check(
        said: dict[str, Any], head: dict[str, Any], raw_head: bytes | None, raw_claims: bytes | None, role: str
    ) -> None:
        good = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "exp": int(time.time()) + 600, "role": role}
        first = raw_head or json_bytes({"alg": algorithm, "kid": "key", **head})
        second = raw_claims or json_bytes({**good, "customer": "eve", **said})
        body = f"{segment(first)}.{segment(second)}"
        token = f"{body}.{segment(key.sign(body.encode()))}"
        if len(token) > 12_000:  # gRPC itself refuses so much metadata
            return
        call = known.shop.keyless.orders.ListOrders(
            orders.ListOrdersRequest(), metadata=(("authorization", f"Bearer {token}"),)
        )
        assert await answer_to(call) in {
            ("OK", ""),
            ("UNAUTHENTICATED", "CREDENTIALS_INVALID"),
            ("PERMISSION_DENIED", "ROLE_NOT_ALLOWED"),
        }

    await run(check)


# Webhooks


EFFECTS: Mapping[str, tuple[str, Any]] = {
    "order.placed": ("Storefront", orders.CreateOrderRequest),
    "payment.updated": ("Storefront", orders.RecordPaymentRequest),
    "order.processing": ("Storefront", orders.ProcessOrderRequest),
    "order.fulfilled": ("Storefront", orders.FulfillOrderRequest),
    "order.cancelled": ("Storefront", orders.CancelOrderRequest),
    "order.returned": ("Storefront", orders.ReturnOrderRequest),
    "order.charged": ("Storefront", orders.AddChargeRequest),
    "product.upserted": ("Pms", catalog.ImportProductsRequest),
    "product.published": ("Pms", catalog.PublishProductRequest),
    "product.unpublished": ("Pms", catalog.UnpublishProductRequest),
    "product.archived": ("Pms", catalog.ArchiveProductRequest),
    "product.restored": ("Pms", catalog.RestoreProductRequest),
    "product.sku_renamed": ("Pms", catalog.RenameSkuRequest),
    "stock.adjusted": ("Pms", inventory.AdjustStockRequest),
    "stock.synced": ("Pms", inventory.SyncStockRequest),
}
"""Who sends each type of webhook, and what its `data` is."""

times = st.just("2026-11-22T10:00:00Z") | odd_json
webhook_ids = st.sampled_from(["", "msg_1", " ", "x" * 3000, "a.b", "\t", "%00", "{}", "'"]) | st.text(
    st.characters(min_codepoint=32, max_codepoint=126), max_size=40
)


@pytest.mark.parametrize("type_", EFFECTS)
async def test_a_webhook_that_says_anything(known: Known, type_: str) -> None:
    sender, message = EFFECTS[type_]
    receive = getattr(known.shop.keyless.incoming, f"Receive{sender}Webhook")
    named = st.fixed_dictionaries(
        {},
        optional={
            "orderId": st.sampled_from(list(known.orders.values())),
            "productId": st.sampled_from(list(known.products.values())),
            "sku": st.sampled_from(["TEE", "MUG", "NONE"]),
        },
    )

    @any_number_of
    @given(data_of(message.DESCRIPTOR), named, webhook_ids)
    @example({field.json_name: float("inf") for field in message.DESCRIPTOR.fields if field.enum_type}, {}, "msg_1")
    @example({field.json_name: {"\ud800": 1} for field in message.DESCRIPTOR.fields if field.message_type}, {}, "msg_2")
    async def check(data: dict[str, Any], names: dict[str, Any], webhook_id: str) -> None:
        own = {name for field in message.DESCRIPTOR.fields if (name := field.json_name) in names}
        body = json_bytes({"type": type_, "timestamp": "", "data": data | {name: names[name] for name in own}})
        code, reason = await answer_to(
            receive(HttpBody(data=body), metadata=tuple(signed(body, webhook_id.strip()).items()))
        )
        assert code == "OK" or reason

    await run(check)


@pytest.mark.parametrize("sender", ["Storefront", "Pms", "Stripe"])
async def test_a_signed_body_of_any_kind(known: Known, sender: str) -> None:
    receive = getattr(known.shop.keyless.incoming, f"Receive{sender}Webhook")
    envelope = st.fixed_dictionaries(
        {}, optional={"type": odd_json, "timestamp": times, "data": odd_json, "id": odd_json, "created": odd_json}
    )
    sign = stripe_signed if sender == "Stripe" else signed

    @any_number_of
    @given(odd_json.map(json_bytes) | st.sampled_from(NO_JSON) | envelope.map(json_bytes) | st.binary(max_size=50))
    async def check(body: bytes) -> None:
        code, reason = await answer_to(receive(HttpBody(data=body), metadata=tuple(sign(body).items())))
        assert (code, reason) in {
            ("INVALID_ARGUMENT", "WEBHOOK_BODY_INVALID"),
            ("INVALID_ARGUMENT", "WEBHOOK_TYPE_UNKNOWN"),
            ("UNAUTHENTICATED", "WEBHOOK_SIGNATURE_INVALID"),  # what is no text cannot have one of Standard Webhooks
            ("OK", ""),
        }, (code, reason)

    await run(check)


STRIPE_FIELDS = (
    *("id", "amount", "amount_capturable", "amount_received", "amount_captured", "amount_refunded", "amount_total"),
    *("captured", "currency", "status", "reason", "payment_status", "cancellation_reason", "balance_transaction"),
    *("payment_intent", "charge", "metadata", "client_reference_id", "last_payment_error", "payment_method_details"),
)


@pytest.mark.parametrize("type_", READERS)
async def test_a_stripe_event_that_says_anything(known: Known, type_: str) -> None:
    receive = known.shop.keyless.incoming.ReceiveStripeWebhook
    numbers = itertools.count()
    thing = st.fixed_dictionaries({}, optional=dict.fromkeys(STRIPE_FIELDS, odd_json))
    around = st.fixed_dictionaries({}, optional=dict.fromkeys(("created", "api_version", "data", "id"), odd_json))

    @any_number_of
    @given(thing, around, st.sampled_from([*known.orders.values(), UNKNOWN_ID]))
    @example({}, {"created": 10**400}, known.orders["PENDING"])
    @example({}, {"created": -(10**11)}, known.orders["PENDING"])
    @example({"currency": "\ud800"}, {}, known.orders["PENDING"])
    async def check(odd: dict[str, Any], envelope: dict[str, Any], order_id: str) -> None:
        usual = intent(
            captured=True, amount_captured=2000, amount_refunded=5, status="lost", amount_total=5, payment_status="paid"
        )
        found = usual | {"metadata": {"order_id": order_id}} | odd
        event = {
            "id": f"evt_{type_}_{next(numbers)}",
            "type": type_,
            "created": 1_796_000_000,
            "data": {"object": found},
        } | envelope
        body = json_bytes(event)
        code, reason = await answer_to(receive(HttpBody(data=body), metadata=tuple(stripe_signed(body).items())))
        assert (code, reason) in {
            ("OK", ""),
            ("INVALID_ARGUMENT", "WEBHOOK_BODY_INVALID"),
            ("INVALID_ARGUMENT", "FIELD_INVALID"),
        }, (code, reason)

    await run(check)


# Headers

printable = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60)
odd_headers = printable | st.sampled_from(
    [
        *(
            "Bearer",
            "Bearer ",
            "bearer x",
            "Bearer " + "x" * 2500,
            "Bearer a.b",
            "Bearer a.b.c",
            "Bearer ..",
            "Basic x",
        ),
        *("t=", "t=1,v1=", "t=,v1", ",,,", "t=99999999999999999999,v1=x", "t=1e9,v1=x", "v1,", "v1a,x", "v1", "v1,a b"),
        *("00-" + "0" * 32 + "-" + "0" * 16 + "-01", "00-" + "a" * 32 + "-" + "b" * 16 + "-zz", "1" * 12, "1" * 400),
    ]
)
NAMES = (
    *("authorization", "webhook-id", "webhook-timestamp", "webhook-signature", "stripe-signature", "traceparent"),
    *("tracestate", "x-request-id", "x-forwarded-for", "x-http-status", "retry-after", "accept-language"),
)
binary = st.tuples(st.just("grpc-trace-bin"), st.binary(max_size=40)) | st.tuples(st.just("x-id-bin"), st.binary())


async def test_headers_with_any_text(known: Known) -> None:
    shop = known.shop
    body = json_bytes({"type": "order.processing", "data": {"orderId": known.orders["PENDING"]}})
    calls: Sequence[Callable[[Any], Any]] = [
        lambda metadata: shop.keyless.orders.ListOrders(orders.ListOrdersRequest(), metadata=metadata),
        lambda metadata: shop.pms.orders.ListOrders(orders.ListOrdersRequest(), metadata=metadata),
        lambda metadata: shop.keyless.incoming.ReceivePmsWebhook(HttpBody(data=body), metadata=metadata),
        lambda metadata: shop.keyless.incoming.ReceiveStripeWebhook(HttpBody(data=body), metadata=metadata),
        lambda metadata: shop.keyless.inventory.WatchAvailability(
            inventory.WatchAvailabilityRequest(skus=["TEE"]), metadata=metadata
        ),
    ]

    @example_settings(any_number_of, max_examples=5 * EXAMPLES)
    @given(
        st.sampled_from(calls),
        st.lists(st.tuples(st.sampled_from(NAMES), odd_headers) | binary, max_size=5),
        st.booleans(),
    )
    async def check(call: Callable[[Any], Any], headers: list[tuple[str, Any]], rightly_signed: bool) -> None:
        right = [*signed(body).items(), *stripe_signed(body).items()] if rightly_signed else []
        code, reason = await answer_to(call((*headers, *right)))
        assert code == "OK" or reason

    await run(check)


async def test_timestamps_of_any_size(known: Known) -> None:
    """With a signature that is right for them."""
    body = json_bytes({"type": "order.processing", "data": {}})

    @any_number_of
    @given(st.sampled_from(ODD_NUMBERS).filter(lambda number: abs(number) < 2**63) | st.integers(-(10**12), 10**12))
    async def check(at: float) -> None:
        for sender, sign in (("Pms", signed), ("Stripe", stripe_signed)):
            receive = getattr(known.shop.keyless.incoming, f"Receive{sender}Webhook")
            code, reason = await answer_to(receive(HttpBody(data=body), metadata=tuple(sign(body, at=at).items())))
            assert code == "OK" or reason

    await run(check)
