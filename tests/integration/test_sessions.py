"""Who the caller is; sessions and links: made with a key, used, ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from stockward.auth.v1 import auth_pb2, key_pb2
from stockward.auth.v1 import session_pb2 as pb
from stockward.inventory.v1 import inventory_pb2 as inventory

from stockward_server.storage import api_key_cache
from stockward_server.storage.write.retention import delete_ended_sessions
from tests.events import until
from tests.shop import KEYS, Callers, Shop, callers, refused
from tests.snapshot import nothing_written

HOUR = Duration(seconds=3600)
Kind = pb.WhoAmIResponse.Kind
Open = Callable[[str], Callers]


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers read their keys more often, so that the end of one need not be waited for."""
    monkeypatch.setattr(api_key_cache, "REFRESH_SECONDS", 0.05)


@pytest.fixture
async def present(shop: Shop) -> AsyncIterator[Open]:
    """Opens stubs that present a secret."""
    async with AsyncExitStack() as stack:

        def present(secret: str) -> Callers:
            stubs = callers(shop.address, secret)
            stack.push_async_callback(stubs.channel.close)
            return stubs

        yield present


async def created(by: Callers, **fields: Any) -> pb.CreateSessionResponse:
    response = await by.sessions.CreateSession(pb.CreateSessionRequest(**{"ttl": HOUR, **fields}))
    assert isinstance(response, pb.CreateSessionResponse)
    return response


async def who(caller: Callers) -> pb.WhoAmIResponse:
    response = await caller.sessions.WhoAmI(pb.WhoAmIRequest())
    assert isinstance(response, pb.WhoAmIResponse)
    return response


def ended(caller: Callers) -> Callable[[], Awaitable[bool]]:
    async def is_refused() -> bool:
        try:
            await caller.sessions.WhoAmI(pb.WhoAmIRequest())
        except grpc.aio.AioRpcError as error:
            return error.code() is grpc.StatusCode.UNAUTHENTICATED
        return False

    return is_refused


async def test_a_caller_learns_who_it_is(shop: Shop) -> None:
    for name, caller in (("pms", shop.pms), ("viewer", shop.viewer), ("storefront", shop.storefront)):
        answer = await who(caller)
        assert (answer.name, auth_pb2.Role.Name(answer.role)) == (name, f"ROLE_{name.upper()}")
        assert answer.kind == Kind.KIND_KEY
        assert answer.key_id
        assert answer.server_version
        assert not answer.HasField("expire_time")


async def test_a_session_acts_in_the_name_of_its_key_and_ends_by_itself(shop: Shop, present: Open) -> None:
    before = datetime.now(UTC)
    made = await created(shop.pms)
    session = present(made.secret)
    answer = await who(session)
    assert (answer.name, answer.role, answer.kind) == ("pms", auth_pb2.ROLE_PMS, Kind.KIND_SESSION)
    assert answer.key_id == made.session.key_id
    assert abs(answer.expire_time.ToDatetime(UTC) - before - timedelta(hours=1)) < timedelta(minutes=1)

    adjusted = inventory.AdjustStockRequest(sku="TEE", delta=1, reason=inventory.ADJUSTMENT_REASON_RECEIVED)
    await shop.sell("TEE")
    await session.inventory.AdjustStock(adjusted)
    ledger = await session.inventory.ListStockMovements(inventory.ListStockMovementsRequest(sku="TEE"))
    assert [each.actor for each in ledger.movements] == ["pms"]

    await shop.pool.execute("UPDATE api_keys SET expire_time = now() WHERE key_id = $1", made.session.key_id)
    await until(ended(session))


async def test_a_repetition_gets_the_session_without_its_secret(shop: Shop) -> None:
    fields = {"request_id": "6f1c2f0e-4b7a-4b7e-9d46-4d5f2e0a7b11"}
    first, second = await created(shop.pms, **fields), await created(shop.pms, **fields)
    assert first.secret.startswith("swk_pms_")
    assert (second.session, second.secret) == (first.session, "")


async def test_a_session_may_be_weaker_than_its_key_and_never_stronger(shop: Shop, present: Open) -> None:
    weaker = present((await created(shop.pms, role=auth_pb2.ROLE_VIEWER)).secret)
    assert (await who(weaker)).role == auth_pb2.ROLE_VIEWER
    refusal = await refused(weaker.inventory.AdjustStock(inventory.AdjustStockRequest()))
    assert (refusal.reason, refusal.metadata["role"]) == ("ROLE_NOT_ALLOWED", "viewer")
    async with nothing_written(shop.pool):
        for by, role in ((shop.viewer, auth_pb2.ROLE_PMS), (shop.pms, auth_pb2.ROLE_ADMIN)):
            for wanted in (role, auth_pb2.ROLE_STOREFRONT):
                refusal = await refused(by.sessions.CreateSession(pb.CreateSessionRequest(ttl=HOUR, role=wanted)))
                assert (refusal.reason, refusal.fields) == ("ROLE_NOT_ALLOWED", ["role"])


async def test_a_session_makes_no_session(shop: Shop, present: Open) -> None:
    session = present((await created(shop.pms)).secret)
    async with nothing_written(shop.pool):
        refusal = await refused(session.sessions.CreateSession(pb.CreateSessionRequest(ttl=HOUR)))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "SESSION_NEEDS_KEY")
    assert refusal.metadata == {"kind": "session"}


async def test_a_session_is_ended_by_those_of_its_name_alone(shop: Shop, present: Open) -> None:
    made = await created(shop.pms)
    session, end = present(made.secret), pb.EndSessionRequest(key_id=made.session.key_id)
    key_id = await shop.pool.fetchval("SELECT key_id::text FROM api_keys WHERE name = 'pms' AND session_of IS NULL")
    for by, wanted in ((shop.viewer, made.session.key_id), (shop.pms, key_id)):
        refusal = await refused(by.sessions.EndSession(pb.EndSessionRequest(key_id=wanted)))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "KEY_NOT_FOUND")
    assert (await session.sessions.EndSession(end)).state == key_pb2.Key.STATE_REVOKED
    await until(ended(session))
    assert not await ended(shop.pms)()


async def test_a_session_ends_with_its_key(shop: Shop, present: Open) -> None:
    request = key_pb2.CreateKeyRequest(name="desk", role=auth_pb2.ROLE_PMS)
    key = await shop.admin.keys.CreateKey(request)
    desk = present(key.secret)
    session = present((await created(desk)).secret)
    assert (await who(session)).name == "desk"
    assert (await refused(shop.admin.keys.CreateKey(request))).metadata["key_id"] == key.key.key_id

    await shop.admin.keys.RevokeKey(key_pb2.RevokeKeyRequest(key_id=key.key.key_id))
    await until(ended(session))
    await shop.admin.keys.CreateKey(request)  # a session that has ended does not take the name


async def test_a_link_is_good_for_one_session_and_nothing_else(shop: Shop, present: Open) -> None:
    link = present((await created(shop.pms, link=True)).secret)
    for refusal in (
        await refused(link.sessions.WhoAmI(pb.WhoAmIRequest())),
        await refused(link.inventory.ListLocations(inventory.ListLocationsRequest())),
    ):
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_INVALID")

    calls = [link.sessions.CreateSession(pb.CreateSessionRequest(ttl=HOUR)) for _ in range(3)]
    made = await asyncio.gather(*calls, return_exceptions=True)
    (response,) = [each for each in made if isinstance(each, pb.CreateSessionResponse)]
    assert (await who(present(response.secret))).name == "pms"


async def test_keys_and_sessions_are_listed_apart(shop: Shop) -> None:
    made = await created(shop.pms)
    keys = await shop.admin.keys.ListKeys(key_pb2.ListKeysRequest())
    assert made.session.key_id not in {each.key_id for each in keys.keys}
    everything = await shop.admin.keys.ListKeys(key_pb2.ListKeysRequest(include_sessions=True))
    assert {each.key_id: each.session_of for each in everything.keys}[made.session.key_id] == made.session.session_of
    rotate = key_pb2.RotateKeyRequest(key_id=made.session.key_id)
    assert (await refused(shop.admin.keys.RotateKey(rotate))).reason == "KEY_NOT_FOUND"


async def test_sessions_that_ended_long_ago_are_deleted(shop: Shop) -> None:
    old, new = await created(shop.pms), await created(shop.pms)
    change = "UPDATE api_keys SET expire_time = now() - interval '31 days' WHERE key_id = $1"
    await shop.pool.execute(change, old.session.key_id)
    await delete_ended_sessions(shop.pool)
    left = await shop.pool.fetch("SELECT key_id::text AS id FROM api_keys WHERE session_of IS NOT NULL")
    assert [row["id"] for row in left] == [new.session.key_id]


async def test_a_viewer_reads_what_staff_read(shop: Shop) -> None:
    await shop.sell("TEE", 3)
    await shop.order("TEE")
    levels = await shop.viewer.inventory.ListStockLevels(inventory.ListStockLevelsRequest())
    assert [(each.sku, each.allocated) for each in levels.stock_levels] == [("TEE", 1)]
    assert KEYS["viewer"].startswith("swk_viewer_")
