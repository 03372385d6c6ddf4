"""Endpoints that fail, ask for time, or have limits: what each is sent, and what is reported of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from stockward.event.v1.event_pb2 import EndpointEvent, Event

from stockward_server.api.events.encoder import encode_event
from stockward_server.gateway.endpoint_limiter import BreakerPolicy
from stockward_server.storage.database import Pool
from stockward_server.storage.events.backlog import read_backlog
from stockward_server.storage.webhooks.claims import SECRET_OVERLAP, SqlWebhooks
from stockward_server.storage.webhooks.endpoints import SqlEndpoints
from stockward_server.storage.write.mutation import Mutations
from stockward_server.storage.write.retention import delete_expired_secrets
from tests.events import event, record, record_many, until
from tests.receiver import SECRET, Hook, take
from tests.webhooks import QUICK, Stack, failing_since, health, in_order, is_done, refuse, webhook_stack

STUBBORN = (timedelta(seconds=0.2),) * 200


PATIENT_BREAKER = BreakerPolicy(failures=1_000_000)


@pytest.fixture
async def stack(database: Pool, database_url: str, tmp_path: Path) -> AsyncIterator[Stack]:
    async with webhook_stack(database, database_url, tmp_path) as running_stack:
        yield running_stack


async def told(stack: Stack, event_type: str) -> list[Event]:
    """What was recorded of endpoints."""
    rows = await stack.pool.fetch("SELECT payload FROM events WHERE type = $1 ORDER BY seq", event_type)
    return [Event.FromString(row["payload"]) for row in rows]


def answers(status: int) -> Any:
    async def behave(_: Hook) -> web.Response:
        return web.Response(status=status)

    return behave


async def test_what_will_not_pass_is_given_up_early_and_the_next_goes_on(stack: Stack) -> None:
    async def never_the_first(hook: Hook) -> web.Response | None:
        return web.Response(status=404) if hook.version == 1 else None

    stack.storefront.behaviour = never_the_first
    address = await stack.start(retry_delays=(*QUICK, *QUICK))
    await record_many(stack.pool, 1, 2)
    await until(lambda: stack.storefront.taken)
    await until(lambda: is_done(stack, "storefront", 2))
    assert [row["attempt"] for row in await stack.attempts()] == [1, 2, 3, 4, 1]
    assert (await health(address))["dead"] == 1


async def test_410_disables_tells_once_and_loses_nothing(stack: Stack) -> None:
    stack.storefront.behaviour = answers(410)
    addresses = [await stack.start(), await stack.start()]
    await record_many(stack.pool, 40, 2)
    await until(lambda: len(stack.pms.taken) >= 80)
    await until(lambda: _is_disabled(stack))
    row = await stack.pool.fetchrow("SELECT * FROM endpoints WHERE endpoint_id = 'storefront'")
    assert row
    assert (row["disable_reason"], row["version"]) == ("it answered HTTP 410: no more webhooks are wanted there", 2)
    assert await stack.pool.fetchval(
        "SELECT count(*) FROM deliveries WHERE endpoint_id = 'storefront' AND state = 1"
    ) == len({(h.aggregate_id, v) for h in stack.pms.taken for v in (1, 2) if h.aggregate_id[0] == "a"})
    await until(lambda: any(hook.data["type"] == "endpoint.disabled" for hook in stack.pms.taken))
    (news,) = await told(stack, "endpoint.disabled")
    assert (news.aggregate_type, news.aggregate_id, news.aggregate_version) == ("endpoint", "storefront", 1)
    assert news.endpoint.state == EndpointEvent.STATE_DISABLED
    assert news.endpoint.url == stack.storefront.url.removesuffix("/hook")
    assert news.endpoint.reason == row["disable_reason"]

    backlog = await read_backlog(stack.pool)
    assert (backlog.disabled, backlog.given_up) == (["storefront"], ["storefront"])

    stack.storefront.behaviour = take
    await stack.pool.execute(
        "UPDATE endpoints SET enabled = true, version = version + 1 WHERE endpoint_id = 'storefront'"
    )
    await until(lambda: len(stack.storefront.taken) == 80)
    assert stack.storefront.versions() == in_order(40, 2)
    assert (await health(addresses[0]))["dead"] == 0


async def test_410_says_nothing_of_an_endpoint_that_was_changed_meanwhile(stack: Stack) -> None:
    release = asyncio.Event()

    async def late(_: Hook) -> web.Response:
        await release.wait()
        return web.Response(status=410)

    stack.storefront.behaviour = late
    await stack.start()
    await record(stack.pool, event("a", 1))
    await until(lambda: stack.storefront.hooks)
    await stack.pool.execute(
        "UPDATE endpoints SET url = $1, version = version + 1 WHERE endpoint_id = 'storefront'", stack.pms.url
    )
    release.set()
    await until(lambda: [hook.aggregate_id for hook in stack.pms.taken].count("a") == 2)
    assert not await _is_disabled(stack)
    assert not await told(stack, "endpoint.disabled")


async def test_410_says_nothing_of_an_address_that_the_settings_changed_meanwhile(stack: Stack) -> None:
    release = asyncio.Event()

    async def late(_: Hook) -> web.Response:
        await release.wait()
        return web.Response(status=410)

    stack.storefront.behaviour = late
    await stack.start()
    await record(stack.pool, event("a", 1))
    await until(lambda: stack.storefront.hooks and stack.pms.taken)
    async with AsyncExitStack() as another:
        await stack.start(another, urls={"storefront": stack.pms.url, "pms": stack.pms.url})
    release.set()
    await until(lambda: is_done(stack, "storefront"))
    assert not await _is_disabled(stack)
    assert not await told(stack, "endpoint.disabled")


async def test_what_the_settings_change_of_an_endpoint_is_another_version(database: Pool) -> None:
    store = SqlWebhooks(database)

    async def put(host: str) -> None:
        await store.put_endpoint("pms", f"https://{host}/", SECRET, description="", types=["*"], max_in_flight=1)

    async def found() -> tuple[Any, ...]:
        row = await database.fetchrow("SELECT version, enabled, failing_since IS NULL FROM endpoints")
        assert row
        return tuple(row.values())

    await put("a.example")
    await database.execute("UPDATE endpoints SET failing_since = now()")
    await put("a.example")
    assert await found() == (1, True, False)
    await put("b.example")
    assert await found() == (2, True, True)
    for _ in range(2):
        await store.disable_removed("pms")
        assert await found() == (3, False, True)
    await database.execute("UPDATE endpoints SET failing_since = now()")
    await put("b.example")
    assert await found() == (4, True, True)


async def test_a_secret_signs_until_its_time_is_over(database: Pool) -> None:
    store, staff = SqlWebhooks(database), SqlEndpoints(database, Mutations(database, encode_event))
    new = "whsec_" + "bmV3IHNlY3JldCBvZiAyNCBieXRlcyE="

    async def put(secret: str) -> None:
        await store.put_endpoint("pms", "https://a.example/", secret, description="", types=["*"], max_in_flight=1)

    async def signing() -> list[str]:
        """What signs the next request, and what staff are shown to sign it."""
        await delete_expired_secrets(database)
        (endpoint,) = await store.endpoints()
        assert {each.text for each in (await staff.endpoint("pms")).secrets} == {*endpoint.secrets}
        return [*endpoint.secrets]

    await put(SECRET)
    await put(new)
    assert await signing() == [new, SECRET]
    await database.execute("UPDATE endpoint_secrets SET expire_time = expire_time - $1::interval", SECRET_OVERLAP)
    (endpoint,) = await store.endpoints()
    assert list(endpoint.secrets) == [new], "though nobody has cleaned up yet"
    assert await signing() == [new]


async def _nothing_pending(stack: Stack) -> bool:
    """For endpoints that are enabled."""
    return await stack.pending() == 0


async def _is_disabled(stack: Stack) -> bool:
    return not await stack.pool.fetchval("SELECT enabled FROM endpoints WHERE endpoint_id = 'storefront'")


async def test_days_of_failing_are_told_and_then_end(stack: Stack, caplog: pytest.LogCaptureFixture) -> None:
    stack.storefront.behaviour = refuse
    address, _ = [await stack.start(retry_delays=STUBBORN, breaker=PATIENT_BREAKER) for _ in range(2)]
    await record(stack.pool, event("a", 1), event("b", 1))
    await until(lambda: failing_since(stack))
    assert (await health(address))["failing"] == ["storefront"]
    assert await told(stack, "endpoint.failing") == []

    await _failing_for(stack, "25 hours")
    await until(lambda: any(hook.data["type"] == "endpoint.failing" for hook in stack.pms.taken))
    (news,) = await told(stack, "endpoint.failing")
    assert news.endpoint.state == EndpointEvent.STATE_ENABLED
    assert news.endpoint.reason.endswith("the latest failure: HTTP 500")
    assert news.endpoint.HasField("failing_since")
    assert "endpoint storefront is failing" in caplog.text

    await _failing_for(stack, "121 hours")
    await until(lambda: _is_disabled(stack))
    await until(lambda: any(hook.data["type"] == "endpoint.disabled" for hook in stack.pms.taken))
    assert len(await told(stack, "endpoint.failing")) == len(await told(stack, "endpoint.disabled")) == 1
    await until(lambda: _nothing_pending(stack))
    assert await stack.pool.fetchval("SELECT count(*) FROM deliveries WHERE state = 1") == 2
    assert "endpoint storefront is disabled: no delivery was taken since" in caplog.text
    assert (await read_backlog(stack.pool)).given_up == ["storefront"]
    await stack.pool.execute("UPDATE endpoints SET disable_reason = 'moving house' WHERE NOT enabled")  # as staff do
    backlog = await read_backlog(stack.pool)
    assert (backlog.disabled, backlog.given_up) == (["storefront"], [])


async def test_a_success_clears_the_record(stack: Stack) -> None:
    stack.storefront.behaviour = refuse
    await stack.start(retry_delays=STUBBORN, breaker=PATIENT_BREAKER)
    await record(stack.pool, event("a", 1))
    await until(lambda: failing_since(stack))
    await _failing_for(stack, "119 hours")
    await until(lambda: told(stack, "endpoint.failing"))
    stack.storefront.behaviour = take
    await until(lambda: is_done(stack, "storefront"))

    async def is_clear() -> bool:
        return not await failing_since(stack)

    await until(is_clear)
    assert await stack.pool.fetchval("SELECT warn_time IS NULL FROM endpoints WHERE endpoint_id = 'storefront'")


async def _failing_for(stack: Stack, interval: str) -> None:
    await stack.pool.execute(
        f"UPDATE endpoints SET failing_since = now() - interval '{interval}' WHERE endpoint_id = 'storefront'"
    )
