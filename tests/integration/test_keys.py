"""API keys over the API: made, listed, rotated, revoked; what is stored of them, and when they stop working."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from stockward.auth.v1 import auth_pb2
from stockward.auth.v1 import key_pb2 as pb
from stockward.inventory.v1 import inventory_pb2 as inventory

from stockward_server.storage import api_key_cache
from stockward_server.storage.api_key_cache import ApiKeyCache
from stockward_server.storage.database import Pool
from stockward_server.storage.keys import WORKS
from stockward_server.storage.write.mutation import Mutations
from tests.events import until
from tests.shop import KEYS, Callers, Refused, Shop, callers, refused
from tests.snapshot import nothing_written

PMS = auth_pb2.ROLE_PMS
State = pb.Key.State


def soon(seconds: float = 3600.0) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(datetime.now(UTC) + timedelta(seconds=seconds))
    return stamp


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers read their keys more often, so that the end of one need not be waited for."""
    monkeypatch.setattr(api_key_cache, "REFRESH_SECONDS", 0.05)


@pytest.fixture
def admin(shop: Shop) -> Any:
    return shop.admin.keys


async def made(admin: Any, name: str = "web-shop", **fields: Any) -> pb.CreateKeyResponse:
    answer = await admin.CreateKey(pb.CreateKeyRequest(**{"name": name, "role": PMS, **fields}))
    assert isinstance(answer, pb.CreateKeyResponse)
    return answer


Works = Callable[[str], Awaitable[bool]]


@pytest.fixture
async def works(shop: Shop) -> Any:
    """Whether a secret lets staff in."""
    async with AsyncExitStack() as stack:
        stubs: dict[str, Callers] = {}

        async def works(secret: str) -> bool:
            if secret not in stubs:
                stubs[secret] = callers(shop.address, secret)
                stack.push_async_callback(stubs[secret].channel.close)
            try:
                await stubs[secret].inventory.ListLocations(inventory.ListLocationsRequest())
            except grpc.aio.AioRpcError as error:
                refusal = Refused(error)
            else:
                return True
            assert refusal.reason == "CREDENTIALS_INVALID"
            return False

        yield works


async def gone(works: Works, secret: str) -> None:
    async def stopped() -> bool:
        return not await works(secret)

    await until(stopped)


async def test_a_new_key_works_at_once_and_signs_what_is_done(shop: Shop, admin: Any, works: Works) -> None:
    answer = await made(admin, "loom")
    assert re.fullmatch("swk_pms_[a-z2-7]{32}", answer.secret)
    key = answer.key
    assert (key.name, key.role, key.state) == ("loom", PMS, State.STATE_ACTIVE)
    assert answer.secret.startswith(key.prefix)
    assert len(key.prefix) == len("swk_pms_") + 6
    assert await works(answer.secret)

    stubs = callers(shop.address, answer.secret)
    await shop.sell("TEE")
    await stubs.inventory.AdjustStock(
        inventory.AdjustStockRequest(sku="TEE", delta=1, reason=inventory.ADJUSTMENT_REASON_FOUND)
    )
    await stubs.channel.close()
    ledger = await shop.pms.inventory.ListStockMovements(inventory.ListStockMovementsRequest(sku="TEE"))
    assert [movement.actor for movement in ledger.movements] == ["loom"]


async def test_no_table_has_a_secret(shop: Shop, admin: Any) -> None:
    """Its digest and its prefix alone; nor has the answer that is stored with the request_id."""
    first = await made(admin, request_id=str(uuid.uuid4()))
    second = await admin.RotateKey(pb.RotateKeyRequest(key_id=first.key.key_id, request_id=str(uuid.uuid4())))
    tables = [
        row[0]
        for row in await shop.pool.fetch(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
    ]
    for table in tables:
        rows = str(
            await shop.pool.fetch(f'SELECT t::text, {"response" if table == "idempotency" else "0"} FROM "{table}" t')
        )
        for secret in (first.secret, second.secret):
            random = secret.rpartition("_")[2]
            assert random not in rows, table
            assert random.encode().hex() not in rows, table


async def test_it_is_shown_once(shop: Shop, admin: Any, works: Works) -> None:
    request = pb.CreateKeyRequest(name="web-shop", role=PMS, request_id=str(uuid.uuid4()))
    first = await admin.CreateKey(request)
    async with nothing_written(shop.pool):
        request.request_id = request.request_id.upper()  # an id compares as a UUID
        again = await admin.CreateKey(request)
        assert (again.key, again.secret) == (first.key, "")
        other = pb.CreateKeyRequest(name="other", role=PMS, request_id=request.request_id)
        assert (await refused(admin.CreateKey(other))).reason == "REQUEST_ID_REUSED"

    rotation = pb.RotateKeyRequest(key_id=first.key.key_id, request_id=str(uuid.uuid4()))
    rotated = await admin.RotateKey(rotation)
    async with nothing_written(shop.pool):
        again = await admin.RotateKey(rotation)
        assert (again.key, again.replaced, again.secret) == (rotated.key, rotated.replaced, "")
    assert await works(rotated.secret)

    revocation = pb.RevokeKeyRequest(key_id=rotated.key.key_id, request_id=str(uuid.uuid4()))
    revoked = await admin.RevokeKey(revocation)
    async with nothing_written(shop.pool):
        assert await admin.RevokeKey(revocation) == revoked


async def test_of_many_at_once_with_one_request_id_one_is_told(shop: Shop, admin: Any) -> None:
    request = pb.CreateKeyRequest(name="web-shop", role=PMS, request_id=str(uuid.uuid4()))
    answers = await asyncio.gather(*(admin.CreateKey(request) for _ in range(10)))
    assert len({answer.key.key_id for answer in answers}) == 1
    assert len([answer for answer in answers if answer.secret]) == 1


async def test_a_name_is_taken_while_a_key_of_it_works(shop: Shop, admin: Any) -> None:
    first = await made(admin)
    async with nothing_written(shop.pool):
        refusal = await refused(admin.CreateKey(pb.CreateKeyRequest(name="web-shop", role=PMS)))
    assert (refusal.code.name, refusal.reason, refusal.fields) == ("ALREADY_EXISTS", "KEY_NAME_TAKEN", ["name"])
    assert refusal.metadata["key_id"] == first.key.key_id
    await admin.RevokeKey(pb.RevokeKeyRequest(key_id=first.key.key_id))
    assert (await made(admin)).key.state == State.STATE_ACTIVE


async def test_of_many_at_once_with_one_name_one_is_made(admin: Any) -> None:
    answers = await asyncio.gather(*(made(admin) for _ in range(10)), return_exceptions=True)
    assert len([answer for answer in answers if isinstance(answer, pb.CreateKeyResponse)]) == 1


async def test_a_rotated_key_works_beside_the_new_one_for_a_while(admin: Any, works: Works) -> None:
    old = await made(admin)
    request = pb.RotateKeyRequest(key_id=old.key.key_id, overlap=Duration(seconds=3600))
    new = await admin.RotateKey(request)
    assert (new.key.name, new.key.role, new.key.state) == (old.key.name, PMS, State.STATE_ACTIVE)
    assert (new.replaced.state, new.replaced.replaced_by) == (State.STATE_RETIRING, new.key.key_id)
    left = new.replaced.expire_time.ToDatetime(UTC) - datetime.now(UTC)
    assert timedelta(seconds=3590) < left <= timedelta(seconds=3600)
    assert await works(old.secret)
    assert await works(new.secret)

    refusal = await refused(admin.RotateKey(request))
    assert (refusal.code.name, refusal.reason) == ("FAILED_PRECONDITION", "KEY_NOT_ACTIVE")
    assert refusal.metadata == {"key_id": old.key.key_id, "state": "RETIRING"}


async def test_without_an_overlap_the_old_key_ends(admin: Any, works: Works) -> None:
    old = await made(admin)
    assert await works(old.secret)
    new = await admin.RotateKey(pb.RotateKeyRequest(key_id=old.key.key_id, overlap=Duration()))
    assert new.replaced.state == State.STATE_EXPIRED
    await gone(works, old.secret)
    assert await works(new.secret)


async def test_a_rotation_lengthens_no_life(admin: Any) -> None:
    """The old key ends no later than it would have; the new one lives as long as the old one was made for."""
    old = await made(admin, expire_time=soon(600))
    new = await admin.RotateKey(pb.RotateKeyRequest(key_id=old.key.key_id))
    assert new.replaced.expire_time == old.key.expire_time
    lives = [each.expire_time.ToDatetime() - each.create_time.ToDatetime() for each in (old.key, new.key)]
    assert lives[0] == lives[1]


async def test_a_key_until_the_end_of_time_can_be_rotated(admin: Any) -> None:
    end = Timestamp(seconds=253_402_300_799)  # of the year 9999
    old = await made(admin, expire_time=end)
    new = await admin.RotateKey(pb.RotateKeyRequest(key_id=old.key.key_id))
    assert new.key.expire_time.seconds == end.seconds


async def test_a_key_ends_by_itself(admin: Any, works: Works, database: Pool) -> None:
    key = await made(admin, expire_time=soon())
    assert await works(key.secret)
    await database.execute("UPDATE api_keys SET expire_time = now() WHERE key_id = $1", key.key.key_id)
    await gone(works, key.secret)
    listed = await admin.ListKeys(pb.ListKeysRequest(include_ended=True))
    assert {each.key_id: each.state for each in listed.keys}[key.key.key_id] == State.STATE_EXPIRED


async def test_a_revoked_key_stops_working(admin: Any, works: Works) -> None:
    key = await made(admin)
    assert await works(key.secret)
    revoked = await admin.RevokeKey(pb.RevokeKeyRequest(key_id=key.key.key_id))
    assert revoked.state == State.STATE_REVOKED
    await gone(works, key.secret)
    assert await admin.RevokeKey(pb.RevokeKeyRequest(key_id=key.key.key_id)) == revoked


async def test_ended_keys_are_listed_when_asked_for(admin: Any) -> None:
    ids = [(await made(admin, name)).key.key_id for name in ("one", "two", "three")]
    await admin.RevokeKey(pb.RevokeKeyRequest(key_id=ids[1]))

    async def listed(**fields: Any) -> list[str]:
        return [key.key_id for key in (await admin.ListKeys(pb.ListKeysRequest(**fields))).keys]

    assert (await listed())[:2] == [ids[2], ids[0]]
    assert len(await listed()) == 2 + len(KEYS)
    assert (await listed(include_ended=True))[:3] == ids[::-1]
    page = await admin.ListKeys(pb.ListKeysRequest(page_size=2))
    assert await listed(page_size=2, page_token=page.next_page_token) == (await listed())[2:4]


@pytest.mark.parametrize("name", ["", "customer", "system", "webhook:pms", "jwt:ada", "a b", "-a", "a" * 64, "ä"])
async def test_names_that_no_key_may_have(admin: Any, name: str) -> None:
    refusal = await refused(admin.CreateKey(pb.CreateKeyRequest(name=name, role=PMS)))
    assert (refusal.reason, refusal.fields) == ("FIELD_INVALID", ["name"])


@pytest.mark.parametrize("role", [0, 5, -1])
async def test_a_key_has_a_role(admin: Any, role: int) -> None:
    refusal = await refused(admin.CreateKey(pb.CreateKeyRequest(name="a", role=role)))  # type: ignore[arg-type]
    assert (refusal.reason, refusal.fields) == ("FIELD_INVALID", ["role"])


async def test_a_key_cannot_have_ended_before_it_is_made(admin: Any) -> None:
    old = await made(admin)
    for call in (
        admin.CreateKey(pb.CreateKeyRequest(name="a", role=PMS, expire_time=soon(-1))),
        admin.RotateKey(pb.RotateKeyRequest(key_id=old.key.key_id, expire_time=soon(-1))),
    ):
        refusal = await refused(call)
        assert (refusal.reason, refusal.fields) == ("FIELD_INVALID", ["expire_time"])


async def test_a_key_that_there_is_not(admin: Any) -> None:
    nobody = str(uuid.uuid4())
    for call in (
        admin.RotateKey(pb.RotateKeyRequest(key_id=nobody)),
        admin.RevokeKey(pb.RevokeKeyRequest(key_id=nobody)),
    ):
        refusal = await refused(call)
        assert (refusal.code.name, refusal.reason) == ("NOT_FOUND", "KEY_NOT_FOUND")
        assert refusal.metadata == {"key_id": nobody}


async def test_when_keys_were_used_is_written_down_apart_from_the_calls(shop: Shop, admin: Any) -> None:
    key = await made(admin)
    unused = await made(admin, "unused")
    keys = ApiKeyCache(shop.pool)
    async with nothing_written(shop.pool):
        assert await keys.authenticate(key.secret)
        assert await shop.pool.fetchval("SELECT count(*) FROM api_key_uses WHERE key_id = $1", key.key.key_id) == 0
    await keys.record_uses()
    listed = {each.key_id: each for each in (await admin.ListKeys(pb.ListKeysRequest())).keys}
    assert abs(listed[key.key.key_id].last_used_time.ToDatetime(UTC) - datetime.now(UTC)) < timedelta(seconds=10)
    assert not listed[unused.key.key_id].HasField("last_used_time")

    first = listed[key.key.key_id].last_used_time
    await keys.record_uses()  # nobody has used it since
    listed = {each.key_id: each for each in (await admin.ListKeys(pb.ListKeysRequest())).keys}
    assert listed[key.key.key_id].last_used_time == first


async def test_a_use_is_not_forgotten_when_the_keys_are_read_again(shop: Shop, admin: Any) -> None:
    key = await made(admin)
    keys = ApiKeyCache(shop.pool)
    await keys.authenticate(key.secret)
    before = time.monotonic()
    await until(lambda: time.monotonic() > before + 0.1)  # by then they are read again
    await keys.authenticate(KEYS["pms"])
    await keys.record_uses()
    assert await shop.pool.fetchval("SELECT true FROM api_key_uses WHERE key_id = $1", key.key.key_id)


async def test_an_answer_whose_commit_was_lost_still_has_its_secret(
    shop: Shop, admin: Any, monkeypatch: pytest.MonkeyPatch, works: Works
) -> None:
    """The transaction is done again by the same call, which finds what it has stored before."""
    once = Mutations._once
    failed: list[object] = []

    async def lost(self: Mutations, *arguments: Any) -> object:
        answer = await once(self, *arguments)
        if not failed:
            failed.append(answer)
            raise ConnectionResetError("the answer to COMMIT")
        return answer

    monkeypatch.setattr(Mutations, "_once", lost)
    answer = await made(admin)
    assert failed
    assert await works(answer.secret)


async def test_keys_are_looked_up_together_and_remembered_unknown_ones_too(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_key_cache, "REFRESH_SECONDS", 60.0)  # longer than the guesses take on any machine
    keys, sizes = ApiKeyCache(shop.pool), list[int]()
    load = keys._keys._reads._load

    async def counted(digests: Sequence[bytes]) -> Any:
        sizes.append(len(digests))
        return await load(digests)

    keys._keys._reads._load = counted
    found = await asyncio.gather(*(keys.authenticate(KEYS["pms"]) for _ in range(50)))
    assert all(caller and caller.name == "pms" for caller in found)
    assert sizes == [1]
    for _ in range(2):
        guesses = await asyncio.gather(*(keys.authenticate(f"swk_pms_{i}") for i in range(50)))
        assert guesses == [None] * 50
    assert sizes == [1, 50]


async def test_a_guess_is_looked_up_by_the_index(shop: Shop) -> None:
    await shop.pool.execute(
        """
        INSERT INTO api_keys (key_id, name, role, prefix, hash)
        SELECT gen_random_uuid(), 'key' || i, 1, '', sha256(i::text::bytea) FROM generate_series(1, 2000) i
        """
    )
    await shop.pool.execute("ANALYZE api_keys")
    plan = await shop.pool.fetch(
        f"EXPLAIN SELECT FROM api_keys WHERE hash = ANY($1::bytea[]) AND {WORKS}", [bytes(32), bytes(32)]
    )
    assert not any("Seq Scan" in line[0] for line in plan), plan


async def test_while_keys_cannot_be_read_none_is_taken_or_refused(
    shop: Shop,
) -> None:
    """Neither is an old answer given again, nor does anybody get the answer that the key is wrong."""
    keys = ApiKeyCache(shop.pool)
    assert await keys.authenticate(KEYS["pms"])
    before = time.monotonic()
    await until(lambda: time.monotonic() > before + api_key_cache.REFRESH_SECONDS)
    await shop.pool.execute("ALTER TABLE api_keys RENAME TO away")
    for key in (KEYS["pms"], "swk_pms_other"):
        answers = await asyncio.gather(*(keys.authenticate(key) for _ in range(5)), return_exceptions=True)
        assert all(isinstance(answer, asyncpg.UndefinedTableError) for answer in answers), answers
    await shop.pool.execute("ALTER TABLE away RENAME TO api_keys")
    assert await keys.authenticate(KEYS["pms"])
