"""`stockward keys`: on the database itself, before there is any key and while a server runs."""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest
from stockward.inventory.v1 import inventory_pb2 as inventory

from stockward_dev.postgres import OWNER
from stockward_server.storage import api_key_cache
from stockward_server.storage.database import Pool
from tests.events import until
from tests.shop import Refused, Shop, callers
from tests.terminal import Outcome, in_process

Run = Callable[..., Awaitable[Outcome]]


@pytest.fixture
def run(database_url: str) -> Run:
    async def run(*arguments: str, url: str = database_url) -> Outcome:
        return await in_process("keys", *arguments, DATABASE_URL=url)

    return run


async def of_script(run: Run, *arguments: str) -> Any:
    outcome = await run(*arguments, "--json")
    assert (outcome.code, outcome.err) == (0, "")
    return json.loads(outcome.out)


async def test_the_first_key_and_what_becomes_of_it(run: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_key_cache, "REFRESH_SECONDS", 0.05)
    first = await of_script(run, "create", "loom", "--role", "pms")
    assert (first["key"]["name"], first["key"]["role"], first["key"]["state"]) == ("loom", "ROLE_PMS", "STATE_ACTIVE")
    key_id = first["key"]["keyId"]

    async def call(secret: str) -> Any:
        stubs = callers(shop.address, secret)
        try:
            return await stubs.inventory.ListLocations(inventory.ListLocationsRequest())
        finally:
            await stubs.channel.close()

    assert (await call(first["secret"])).locations

    second = await of_script(run, "rotate", key_id, "--overlap", "1.5")
    assert second["replaced"]["state"] == "STATE_RETIRING"
    assert (await call(first["secret"])).locations
    assert (await call(second["secret"])).locations

    listed = {each["keyId"]: each for each in (await of_script(run, "list"))["keys"]}
    assert listed[key_id]["replacedBy"] == second["key"]["keyId"]
    assert not any("secret" in each for each in listed.values())

    revoked = await of_script(run, "revoke", key_id)
    assert revoked["state"] == "STATE_REVOKED"

    async def is_refused() -> bool:
        try:
            await call(first["secret"])
        except grpc.aio.AioRpcError as error:
            return bool(Refused(error).reason == "CREDENTIALS_INVALID")
        return False

    await until(is_refused)
    assert key_id not in {each["keyId"] for each in (await of_script(run, "list"))["keys"]}
    assert key_id in {each["keyId"] for each in (await of_script(run, "list", "--all"))["keys"]}


async def test_a_person_is_told_to_keep_the_secret(run: Run) -> None:
    outcome = await run("create", "loom", "--role", "storefront", "--expires", "2999-01-01")
    assert outcome.code == 0
    assert "swk_storefront_" in outcome.out
    assert "never shown again" in outcome.err
    table = (await run("list")).out
    assert "loom" in table
    assert "2999-01-01" in table


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["create", "loom", "--role", "pms"], 1, "KEY_NAME_TAKEN"),
        (["create", "system", "--role", "pms"], 1, "FIELD_INVALID"),
        (["create", "a", "--role", "pms", "--expires", "2020-01-01"], 1, "FIELD_INVALID"),
        (["create", "a", "--role", "owner"], 2, "storefront, pms, admin"),
        (["create", "a"], 2, "--role"),
        (["rotate", str(uuid.uuid4())], 1, "KEY_NOT_FOUND"),
        (["revoke", "loom"], 2, "is not the id of a key"),
        (["rotate", str(uuid.uuid4()), "--overlap", "-1"], 2, "--overlap"),
    ],
)
async def test_what_cannot_be_done_is_told(run: Run, arguments: list[str], code: int, told: str) -> None:
    await run("create", "loom", "--role", "pms")
    outcome = await run(*arguments)
    assert outcome.code == code
    assert told in outcome.err
    assert not outcome.out


async def test_without_a_database_there_is_no_answer(run: Run) -> None:
    outcome = await run("list", url="postgresql://nobody@127.0.0.1:1/nothing")
    assert (outcome.code, outcome.out) == (3, "")
    assert "cannot be reached" in outcome.err


async def test_a_database_that_lets_nobody_in_is_no_answer_either(run: Run, database: Pool, database_url: str) -> None:
    """As one does that is starting, or full."""
    full, unknown = (database_url.replace(f"//{OWNER}@", f"//{name}@") for name in ("guest", "stranger"))
    await database.execute("CREATE ROLE guest LOGIN CONNECTION LIMIT 0")
    try:
        for url, told in ((full, "too many connections"), (unknown, "does not exist")):
            outcome = await run("list", url=url)
            assert (outcome.code, outcome.out) == (3, "")
            assert "cannot be reached" in outcome.err
            assert told in outcome.err
    finally:
        await database.execute("DROP ROLE guest")
