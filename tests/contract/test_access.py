"""Who may call what: every method, with every role by key and by token, and with none that is good."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from stockward.auth.v1 import auth_pb2, key_pb2
from stockward.inventory.v1 import inventory_pb2
from stockward.order.v1 import order_pb2

from stockward_server.api.server import SERVICES
from stockward_server.application.context import Caller, Role
from stockward_server.auth.identity import Identity, roles_by_method
from stockward_server.domain.errors import RoleNotAllowed
from tests.events import until
from tests.issuer import Issuer
from tests.known_shop import METHODS, Known
from tests.shop import KEYS, Refused, Shop, callers, money, refused
from tests.snapshot import nothing_written

OPEN_TO_STOREFRONTS = {
    "ListAvailableProducts",
    "GetAvailableProduct",
    "GetAvailability",
    "BatchGetAvailability",
    "WatchAvailability",
    "ReserveStock",
    "ExtendReservation",
    "ReleaseReservation",
    "GetReservation",
    "CreateOrder",
    "BatchCreateOrders",
    "GetOrder",
    "ListOrderTimeline",
    "ListOrders",
    "CancelOrder",
    "AnnounceReturn",
    "WithdrawReturn",
    "ListEvents",
    "WhoAmI",
}

FOR_ONE_CUSTOMER = {"ListOrders"}
"""Of these, what a storefront may call by a token that speaks for one customer only."""

FOR_ADMINISTRATORS = {"CreateKey", "ListKeys", "RotateKey", "RevokeKey"}


@pytest.fixture
async def channel(known: Known) -> AsyncIterator[grpc.aio.Channel]:
    """Calls without a key."""
    async with grpc.aio.insecure_channel(known.shop.address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        yield channel


async def call(channel: grpc.aio.Channel, method: MethodDescriptor, authorization: str | None) -> Refused | None:
    """Calls with an empty message (an empty stream); None when it was answered."""
    assert method.containing_service is not None
    metadata = [("authorization", authorization)] if authorization is not None else []
    shape = "".join("stream" if each else "unary" for each in (method.client_streaming, method.server_streaming))
    stub: Any = {
        "unaryunary": channel.unary_unary,
        "streamunary": channel.stream_unary,
        "streamstream": channel.stream_stream,
        "unarystream": channel.unary_stream,
    }[shape](
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=GetMessageClass(method.input_type).SerializeToString,
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )
    request = iter(()) if method.client_streaming else GetMessageClass(method.input_type)()
    try:
        answer = stub(request, metadata=metadata)
        if method.server_streaming:
            async for _ in answer:
                break  # a watch would go on for ever
            answer.cancel()
        else:
            await answer
    except grpc.aio.AioRpcError as error:
        return Refused(error)
    return None


SIGNED = [method for method in METHODS if method.GetOptions().Extensions[auth_pb2.credential]]
"""These take a signature in place of a key."""
KEYED = [method for method in METHODS if method not in SIGNED]


def allowed_by_contract(method: MethodDescriptor) -> set[str]:
    named = method.GetOptions().Extensions[auth_pb2.roles]
    return {"admin", *(auth_pb2.Role.Name(role).removeprefix("ROLE_").lower() for role in named)}


def allowed_for_nobody_in_particular(method: MethodDescriptor) -> set[str]:
    return allowed_by_contract(method) - ({"storefront"} if method.name in FOR_ONE_CUSTOMER else set())


@pytest.mark.parametrize("role", KEYS)
@pytest.mark.parametrize("kind", ["key", "token"])
async def test_a_role_may_call_what_the_contract_says(
    known: Known, channel: grpc.aio.Channel, issuer: Issuer, kind: str, role: str
) -> None:
    """An empty message changes nothing, so every method can be tried: callers who may get what is missing."""
    credential = KEYS[role] if kind == "key" else issuer.token("key", role=role)
    answered = {}
    async with nothing_written(known.shop.pool):
        for method in KEYED:
            refusal = await call(channel, method, f"Bearer {credential}")
            denied = refusal is not None and refusal.code is grpc.StatusCode.PERMISSION_DENIED
            answered[method.full_name] = not denied
            if refusal is not None and denied:
                assert refusal.reason == "ROLE_NOT_ALLOWED"
                assert refusal.metadata["role"] == role
                assert set(refusal.metadata["allowed"].split(",")) == allowed_for_nobody_in_particular(method)
            elif refusal is not None:
                assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT, (method.full_name, refusal.message)
    assert answered == {method.full_name: role in allowed_for_nobody_in_particular(method) for method in KEYED}


READS = ("Get", "List", "Read", "Count", "BatchGet", "Check", "Explain", "Verify", "Watch", "WhoAmI")

SESSIONS = {"CreateSession", "EndSession"}
"""What a viewer may do beside reading: they change nothing of the shop."""


def test_the_contract_opens_to_viewers_what_staff_read_and_nothing_that_changes() -> None:
    of_staff = {m.name for m in KEYED if "pms" in allowed_by_contract(m)}
    reads = {name for name in of_staff if name.startswith(READS)}
    assert {m.name for m in KEYED if "viewer" in allowed_by_contract(m)} == reads | SESSIONS


def test_the_contract_opens_to_storefronts_what_customers_need() -> None:
    assert {m.name for m in METHODS if "storefront" in allowed_by_contract(m)} == OPEN_TO_STOREFRONTS
    assert {m.name for m in KEYED if "pms" not in allowed_by_contract(m)} == FOR_ADMINISTRATORS


async def test_what_takes_a_signature_is_said_by_the_contract_and_takes_nothing_else(
    known: Known, channel: grpc.aio.Channel
) -> None:
    assert {m.name for m in SIGNED} == {"ReceiveStorefrontWebhook", "ReceivePmsWebhook", "ReceiveStripeWebhook"}
    async with nothing_written(known.shop.pool):
        for method in SIGNED:
            for authorization in (None, "Bearer swk_unknown", f"Bearer {KEYS['admin']}"):
                refusal = await call(channel, method, authorization)
                assert refusal is not None
                assert (refusal.code.name, refusal.reason) == ("UNAUTHENTICATED", "WEBHOOK_SIGNATURE_INVALID")


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Bearer swk_unknown", f"Basic {KEYS['admin']}", KEYS["admin"]],
    ids=["none", "empty", "no key", "blank key", "unknown key", "other scheme", "no scheme"],
)
async def test_without_a_valid_key_nothing_can_be_called(
    known: Known, channel: grpc.aio.Channel, authorization: str | None
) -> None:
    async with nothing_written(known.shop.pool):
        for method in KEYED:
            refusal = await call(channel, method, authorization)
            assert refusal is not None, method.full_name
            assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_INVALID")
            assert refusal.info.domain == "stockward"
            assert refusal.metadata == {"scheme": "Bearer"}


async def is_refused(known: Known, secret: str) -> bool:
    stubs = callers(known.shop.address, secret)
    async with stubs.channel:
        try:
            await stubs.keys.ListKeys(key_pb2.ListKeysRequest())
        except grpc.aio.AioRpcError:
            return True
    return False


@pytest.fixture(scope="session")
async def ended(known: Known, issuer: Issuer) -> dict[str, str]:
    """Credentials that were good once, or would be for somebody else."""
    admin, made = known.shop.admin.keys, {}
    for name in ("revoked key", "expired key"):
        request = key_pb2.CreateKeyRequest(name=name.replace(" ", "-"), role=auth_pb2.ROLE_ADMIN)
        if name == "expired key":
            request.expire_time.FromDatetime(datetime.now(UTC) + timedelta(hours=1))
        made[name] = await admin.CreateKey(request)
    await admin.RevokeKey(key_pb2.RevokeKeyRequest(key_id=made["revoked key"].key.key_id))
    expire = "UPDATE api_keys SET expire_time = now() WHERE key_id = $1"
    await known.shop.pool.execute(expire, made["expired key"].key.key_id)
    for answer in made.values():  # the server may have read it while it was good
        await until(lambda secret=answer.secret: is_refused(known, secret))  # type: ignore[misc]
    return {
        **{name: answer.secret for name, answer in made.items()},
        "expired token": issuer.token("key", role="admin", exp=1),
        "token without a role": issuer.token("key", role=None),
        "token for others": issuer.token("key", role="admin", aud="others"),
    }


@pytest.mark.parametrize(
    "name", ["revoked key", "expired key", "expired token", "token without a role", "token for others"]
)
async def test_with_what_is_no_longer_good_nothing_can_be_called(
    known: Known, channel: grpc.aio.Channel, ended: dict[str, str], name: str
) -> None:
    async with nothing_written(known.shop.pool):
        for method in KEYED:
            refusal = await call(channel, method, f"Bearer {ended[name]}")
            assert refusal is not None, method.full_name
            assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_INVALID")
            assert refusal.metadata.get("cause", "").startswith("TOKEN_") is ("token" in name)


async def test_the_scheme_is_not_case_sensitive(channel: grpc.aio.Channel) -> None:
    (verify,) = (method for method in METHODS if method.name == "VerifyStock")
    assert await call(channel, verify, f"bearer {KEYS['pms']}") is None


async def test_health_is_open(channel: grpc.aio.Channel) -> None:
    health: Any = health_pb2_grpc.HealthStub(channel)
    for name in ["", *(service.full_name for service in SERVICES)]:
        answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_reflection_is_open_and_tells_every_service(channel: grpc.aio.Channel) -> None:
    reflection: Any = reflection_pb2_grpc.ServerReflectionStub(channel)  # type: ignore[arg-type]  # the stub lacks aio
    question = reflection_pb2.ServerReflectionRequest(list_services="")
    (answer,) = [each async for each in reflection.ServerReflectionInfo(iter([question]))]
    assert {service.name for service in answer.list_services_response.service} == {
        *(service.full_name for service in SERVICES),
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }


def test_a_method_that_names_no_role_is_for_administrators() -> None:
    file = descriptor_pb2.FileDescriptorProto(name="silent.proto", package="silent")
    file.message_type.add(name="Nothing")
    file.service.add(name="Silent").method.add(name="Say", input_type=".silent.Nothing", output_type=".silent.Nothing")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    service = pool.FindServiceByName("silent.Silent")
    assert roles_by_method([service]) == {"/silent.Silent/Say": frozenset({Role.ADMIN})}


async def test_a_method_that_does_not_exist(channel: grpc.aio.Channel) -> None:
    stub: Any = channel.unary_unary("/stockward.order.v1.OrderService/Delete")
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await stub(b"", metadata=[("authorization", f"Bearer {KEYS['storefront']}")])
    assert error.value.code() is grpc.StatusCode.UNIMPLEMENTED


STAFF_ONLY = {
    "charges": order_pb2.CreateOrderRequest(
        charges=[order_pb2.Charge(kind=order_pb2.Charge.KIND_DISCOUNT, amount=money("5.00"))]
    ),
    "payment_terms": order_pb2.CreateOrderRequest(payment_terms=order_pb2.PAYMENT_TERMS_ON_ACCOUNT),
    "lines[0].unit_price_override": order_pb2.CreateOrderRequest(
        lines=[
            order_pb2.CreateOrderRequest.Line(
                sku="TEE", quantity=1, unit_price_override=money("0.01"), price_override_reason="mine"
            )
        ]
    ),
}


@pytest.mark.parametrize("field", STAFF_ONLY)
async def test_a_storefront_may_not_set_what_staff_set(shop: Shop, field: str) -> None:
    await shop.sell("TEE", 3)
    request = order_pb2.CreateOrderRequest()
    request.CopyFrom(STAFF_ONLY[field])
    if not request.lines:
        request.lines.add(sku="TEE", quantity=1)
    async with nothing_written(shop.pool):
        refusal = await refused(shop.storefront.orders.CreateOrder(request))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.PERMISSION_DENIED, "ROLE_NOT_ALLOWED")
    assert refusal.fields == [field]
    assert refusal.metadata == {"field": field, "role": "storefront", "allowed": "pms,admin"}
    assert (await shop.pms.orders.CreateOrder(request)).lines[0].sku == "TEE"


async def test_a_storefront_may_not_set_it_in_a_batch_either(shop: Shop) -> None:
    await shop.sell("TEE", 3)
    batch = order_pb2.BatchCreateOrdersRequest()
    batch.requests.add(payment_terms=order_pb2.PAYMENT_TERMS_ON_ACCOUNT).lines.add(sku="TEE", quantity=1)
    (result,) = (await shop.storefront.orders.BatchCreateOrders(batch)).results
    assert result.error.code == grpc.StatusCode.PERMISSION_DENIED.value[0]
    assert await shop.counters("TEE") == (3, 0, 0)


async def test_a_storefront_may_cancel_a_whole_pending_order_only(shop: Shop) -> None:
    await shop.sell("TEE", 3)
    order = await shop.order("TEE", 2)
    part = order_pb2.CancelOrderRequest(
        order_id=order.order_id, lines=[order_pb2.LineQuantity(line_number=1, quantity=1)]
    )
    whole = order_pb2.CancelOrderRequest(order_id=order.order_id)

    async with nothing_written(shop.pool):
        refusal = await refused(shop.storefront.orders.CancelOrder(part))
    assert (refusal.reason, refusal.fields) == ("ROLE_NOT_ALLOWED", ["lines"])

    await shop.pay(order)
    await shop.pms.orders.ProcessOrder(order_pb2.ProcessOrderRequest(order_id=order.order_id))
    async with nothing_written(shop.pool):
        refusal = await refused(shop.storefront.orders.CancelOrder(whole))
    assert (refusal.reason, refusal.metadata["state"]) == ("ORDER_STATE_INVALID", "PROCESSING")

    cancelled = await shop.pms.orders.CancelOrder(whole)
    assert cancelled.state == order_pb2.Order.STATE_CANCELLED


async def test_what_a_key_did_bears_its_name(shop: Shop) -> None:
    await shop.sell("TEE", 3)
    await shop.order("TEE")
    ledger = await shop.pms.inventory.ListStockMovements(inventory_pb2.ListStockMovementsRequest(sku="TEE"))
    assert [movement.actor for movement in ledger.movements] == ["storefront", "pms"]


async def test_what_the_contract_does_not_name_is_for_administrators_alone() -> None:
    async def of_staff(key: str) -> Caller:
        return Caller("pms", Role.PMS)

    with pytest.raises(RoleNotAllowed):
        await Identity(of_staff, roles_by_method(SERVICES), ()).identify(
            "Bearer key", "/stockward.new.v1.NewService/New"
        )
