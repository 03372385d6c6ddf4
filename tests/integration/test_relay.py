"""The relay: every committed event in the stream, in order per aggregate, whatever dies in between."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import nats
import nats.js.errors
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import StreamConfig
from stockward.event.v1.event_pb2 import Event

from stockward_dev import Nats
from stockward_dev import nats as embedded_nats
from stockward_server.relay.cloud_event import decode_token
from stockward_server.relay.wake import WAKE_SUBJECT
from stockward_server.runtime.nats import open_nats
from stockward_server.runtime.supervision import Unavailable
from stockward_server.storage.database import Pool, transaction
from stockward_server.storage.events.event_log import Selection, republish
from stockward_server.storage.events.outbox import OwnedOutbox, PendingEvent
from tests.events import (
    STREAM,
    drained,
    event,
    insert,
    pending,
    record,
    record_many,
    relaying,
    stored,
    until,
    versions,
)

KILLED_RELAY = """
import asyncio, datetime, sys
from stockward_server import relay
asyncio.run(relay.run(sys.argv[1], sys.argv[2], sys.argv[3], max_age=datetime.timedelta(days=1), poll_seconds=0.01,
                      stop=asyncio.Event()))
"""


@pytest.fixture
async def own_nats(tmp_path: Path) -> AsyncIterator[Nats]:
    """A NATS server of the test's own."""
    async with Nats(tmp_path / "nats", durable=False) as server:
        yield server


def events_of(messages: list[Msg]) -> list[Event]:
    return [Event.FromString(message.data) for message in messages]


async def has_pending(pool: Pool, count: int) -> bool:
    return await pending(pool) == count


def in_order(count: int) -> list[int]:
    return list(range(1, count + 1))


# What is published


async def test_a_message_carries_the_event_and_its_cloudevents_attributes(
    database: Pool, database_url: str, own_nats: Nats
) -> None:
    told = event("018f9a2e-0000-7000-8000-000000000001", 3, "payment.updated")
    await record(database, told)

    async with relaying(database_url, own_nats.url):
        await until(lambda: drained(database))

    (message,) = await stored(own_nats.url)
    assert message.subject == "stockward.v1.payment.updated.018f9a2e-0000-7000-8000-000000000001"
    assert message.data == told.SerializeToString()
    assert message.headers is not None
    create_time = await database.fetchval("SELECT create_time FROM events")
    assert message.headers == {
        "Nats-Msg-Id": told.event_id,
        "ce-specversion": "1.0",
        "ce-id": told.event_id,
        "ce-source": "/stockward",
        "ce-type": "stockward.v1.payment.updated",
        "ce-subject": told.aggregate_id,
        "ce-time": create_time.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "ce-datacontenttype": "application/protobuf",
        "ce-dataschema": "proto:stockward.event.v1.Event",
        "ce-partitionkey": told.aggregate_id,
        "ce-sequence": "00000000000000000003",
        "ce-recordseq": "1",
    }


async def test_any_sku_makes_one_token_and_headers_stay_ascii(
    database: Pool, database_url: str, own_nats: Nats
) -> None:
    await record(database, event('A.1 "x"@>*@berlin', 1, "stock.changed"))

    async with relaying(database_url, own_nats.url):
        await until(lambda: drained(database))

    (message,) = await stored(own_nats.url)
    assert message.subject == "stockward.v1.stock.changed.A_2E1_20_22x_22_40_3E_2A"
    assert decode_token(message.subject.split(".")[-1]) == 'A.1 "x"@>*'
    assert (message.headers or {})["ce-subject"] == "A.1%20%22x%22@>*@berlin"


async def test_the_stream_is_made_as_it_has_to_be_and_what_an_operator_chose_stays(
    database: Pool, database_url: str, own_nats: Nats
) -> None:
    client = await nats.connect(own_nats.url)
    stream = client.jetstream()
    await stream.add_stream(StreamConfig(name=STREAM, subjects=["old.>"], max_bytes=1_000_000_000))
    await stream.publish("old.a", b"kept")

    async with relaying(database_url, own_nats.url):
        await record(database, event("a", 1))
        await until(lambda: drained(database))

    for emptied in (stream.purge_stream(STREAM), stream.delete_msg(STREAM, 1)):
        with pytest.raises(nats.js.errors.ServerError, match="not permitted"):
            await emptied
    info = await stream.stream_info(STREAM)
    config = info.config
    await client.close()
    assert info.state.messages == 2
    assert config.subjects == ["stockward.v1.>"]
    assert config.allow_atomic
    assert (config.duplicate_window, config.max_age) == (600.0, 86400.0)
    assert config.max_bytes == 1_000_000_000


async def test_a_hint_wakes_the_relay(database: Pool, database_url: str, own_nats: Nats) -> None:
    client = await nats.connect(own_nats.url)
    async with relaying(database_url, own_nats.url, poll_seconds=60):
        await until(lambda: holds_shards(database))
        await record(database, event("a", 1))

        async def hinted() -> bool:
            await client.publish(WAKE_SUBJECT, b"")
            return await drained(database)

        await until(hinted, 10)
    await client.close()


# Order


async def test_two_relays_share_the_shards_and_keep_the_order(
    database: Pool, database_url: str, own_nats: Nats
) -> None:
    async with (
        relaying(database_url, own_nats.url),
        relaying(database_url, own_nats.url),
    ):
        await until(lambda: shard_owners(database, [32, 32]))
        await asyncio.gather(*(record_many(database, 40, 25, f"{kind}.changed") for kind in ("order", "stock")))
        await until(lambda: drained(database))

    for kind in ("order", "stock"):
        told = versions([each for each in events_of(await stored(own_nats.url)) if each.aggregate_type == kind])
        assert told == {f"a{i}": in_order(25) for i in range(40)}


async def test_a_second_relay_takes_over_what_the_first_one_leaves(
    database: Pool, database_url: str, own_nats: Nats
) -> None:
    async with relaying(database_url, own_nats.url):
        async with relaying(database_url, own_nats.url):
            await until(lambda: shard_owners(database, [32, 32]))
        await until(lambda: shard_owners(database, [64]))
        await record_many(database, 64, 2)
        await until(lambda: drained(database))

    assert versions(events_of(await stored(own_nats.url))) == {f"a{i}": [1, 2] for i in range(64)}


async def test_an_event_that_commits_late_is_not_missed(database: Pool, database_url: str, own_nats: Nats) -> None:
    async with relaying(database_url, own_nats.url):
        async with transaction(database) as late:
            await insert(late, [event("late", 1)])
            await record(database, event("early", 1))
            await until(lambda: has_messages(own_nats, 1))
        await until(lambda: drained(database))

    told = events_of(await stored(own_nats.url))
    assert [each.aggregate_id for each in told] == ["early", "late"]


async def test_an_event_that_is_too_large_for_nats_holds_up_its_aggregate_only(
    database: Pool, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Until NATS takes it."""
    for version in (1, 2, 3):
        large = event("large", version)
        if version == 2:
            large.actor = "x" * 40_000
        await record(database, large)
        await record(database, event("small", version))
    monkeypatch.setattr(embedded_nats, "MAX_PAYLOAD", 32_768)
    async with Nats(tmp_path / "nats", durable=False) as server, relaying(database_url, server.url):
        await until(lambda: has_messages(server, 4))
        await until(lambda: has_pending(database, 2))
        await record(database, event("large", 4))
        await record(database, event("small", 4))
        await until(lambda: has_messages(server, 5))
        told = events_of(await stored(server.url))
    assert versions(told) == {"large": [1], "small": in_order(4)}
    assert [line for line in caplog.messages if "exceeds what NATS accepts" in line and " of large wait; " in line]
    monkeypatch.undo()
    async with Nats(tmp_path / "nats", durable=False) as server, relaying(database_url, server.url):
        await until(lambda: drained(database))
        told = events_of(await stored(server.url))
    assert versions(told) == {"large": in_order(4), "small": in_order(4)}


async def test_what_the_stream_refuses_stays_in_the_outbox_and_nothing_overtakes_it(
    database: Pool, database_url: str, own_nats: Nats, caplog: pytest.LogCaptureFixture
) -> None:
    """An operator has limited what the stream takes."""
    client = await nats.connect(own_nats.url)
    config = StreamConfig(name=STREAM, subjects=["stockward.v1.>"], max_msg_size=10_000)
    await client.jetstream().add_stream(config)
    large = event("a", 2)
    large.actor = "x" * 20_000
    await record(database, event("a", 1), large, event("a", 3))
    async with relaying(database_url, own_nats.url):
        await until(lambda: "cannot be published" in caplog.text)
        assert versions(events_of(await stored(own_nats.url))) == {"a": [1]}
        assert await pending(database) == 3
        state = await client.jetstream().stream_info(STREAM)
        await client.jetstream().update_stream(state.config.evolve(max_msg_size=-1))
        await until(lambda: drained(database))
    await client.close()
    assert versions(events_of(await stored(own_nats.url))) == {"a": in_order(3)}


# Whatever dies


async def test_what_was_published_but_not_deleted_is_not_published_twice(
    database: Pool, database_url: str, own_nats: Nats, monkeypatch: pytest.MonkeyPatch
) -> None:
    await record_many(database, 10, 30)
    delete = OwnedOutbox.delete
    failures = 0

    async def fail_first(outbox: OwnedOutbox, events: list[PendingEvent]) -> None:
        nonlocal failures
        failures += 1
        if failures == 1:
            raise ConnectionResetError("the connection broke before the rows were deleted")
        await delete(outbox, events)

    monkeypatch.setattr(OwnedOutbox, "delete", fail_first)
    async with relaying(database_url, own_nats.url):
        await until(lambda: has_messages(own_nats, 300))
        await record_many(database, 10, 30, "order.cancelled")  # new ones, in one batch with those that are known
        await until(lambda: drained(database))

    assert failures > 1
    told = events_of(await stored(own_nats.url))
    for kind in ("order.created", "order.cancelled"):
        assert versions([e for e in told if e.type == kind]) == {f"a{i}": in_order(30) for i in range(10)}


@pytest.mark.long
async def test_killed_again_and_again_it_loses_nothing_and_keeps_the_order(
    database: Pool, database_url: str, own_nats: Nats
) -> None:
    await record_many(database, 50, 120)
    for left in (4500, 2000, 0):
        relaying = await asyncio.create_subprocess_exec(
            sys.executable, "-c", KILLED_RELAY, database_url, own_nats.url, STREAM
        )
        await until(lambda left=left: at_most(database, left), 40)  # type: ignore[misc]
        relaying.kill()
        await relaying.wait()

    assert versions(events_of(await stored(own_nats.url))) == {f"a{i}": in_order(120) for i in range(50)}


async def test_a_restart_of_nats_in_the_middle(database: Pool, database_url: str, tmp_path: Path) -> None:
    async with Nats(tmp_path / "durable") as durable:
        async with relaying(database_url, durable.url):
            for crash in range(3):
                writing = asyncio.create_task(record_many(database, 50, 40, f"order.c{crash}"))
                await until(lambda crash=crash: has_messages(durable, crash * 2000 + 1))  # type: ignore[misc]
                await durable.kill()
                await writing
                await durable.start()
            await until(lambda: drained(database), 40)

        told = events_of(await stored(durable.url))
        for crash in range(3):
            found = versions([each for each in told if each.type == f"order.c{crash}"])
            assert found == {f"a{i}": in_order(40) for i in range(50)}


async def test_it_goes_on_when_its_connection_to_postgresql_is_cut(
    database: Pool, database_url: str, own_nats: Nats
) -> None:
    async with relaying(database_url, own_nats.url):
        for round_ in range(3):
            await until(lambda: holds_shards(database))
            writing = asyncio.create_task(record_many(database, 50, 20, f"order.c{round_}"))
            await until(lambda round_=round_: has_messages(own_nats, round_ * 1000 + 1))  # type: ignore[misc]
            cut = await database.fetchval(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                "WHERE application_name = 'stockward relay' AND datname = current_database()"
            )
            assert cut == 1
            await writing
        await until(lambda: drained(database))

    told = events_of(await stored(own_nats.url))
    for round_ in range(3):
        found = versions([each for each in told if each.type == f"order.c{round_}"])
        assert found == {f"a{i}": in_order(20) for i in range(50)}


async def test_republishing_refills_a_stream_that_was_lost(database: Pool, database_url: str, own_nats: Nats) -> None:
    async with relaying(database_url, own_nats.url):
        await record_many(database, 20, 5)
        await until(lambda: drained(database))
        client = await nats.connect(own_nats.url)
        await client.jetstream().delete_stream(STREAM)
        await client.close()

        assert await republish(database, Selection()) == 100
        await until(lambda: drained(database))

        assert versions(events_of(await stored(own_nats.url))) == {f"a{i}": in_order(5) for i in range(20)}

        assert await republish(database, Selection(aggregate_id="a7")) == 5  # the stream still has them
        await until(lambda: drained(database))
    assert len(await stored(own_nats.url)) == 100


async def test_while_nats_is_away_it_waits_and_says_so_in_one_line(
    database: Pool, database_url: str, own_nats: Nats, caplog: pytest.LogCaptureFixture
) -> None:
    await own_nats.stop()
    async with relaying(database_url, own_nats.url):
        await record(database, event("a", 1))
        await until(lambda: "NATS cannot be reached" in caplog.text)
        await own_nats.start()
        await until(lambda: drained(database))

    told = [entry for entry in caplog.records if entry.levelname == "WARNING" and entry.name.startswith("stockward")]
    assert told
    assert all("\n" not in entry.getMessage() and entry.exc_info is None for entry in told)


# What the tests look at


async def has_messages(server: Nats, count: int) -> bool:
    with contextlib.suppress(nats.errors.Error, OSError):
        client = await nats.connect(server.url, allow_reconnect=False)
        try:
            return bool((await client.jetstream().stream_info(STREAM)).state.messages >= count)
        finally:
            await client.close()
    return False


async def at_most(pool: Pool, count: int) -> bool:
    return await pending(pool) <= count


async def holds_shards(pool: Pool) -> bool:
    return bool(await _owners(pool))


async def shard_owners(pool: Pool, expected: list[int]) -> bool:
    return await _owners(pool) == expected


async def _owners(pool: Pool) -> list[int]:
    """How many shards each relay holds."""
    rows = await pool.fetch(
        """
        SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid < 64 AND objsubid = 2 AND granted
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) GROUP BY pid ORDER BY 1
        """
    )
    return [row["count"] for row in rows]


async def test_a_session_that_is_cancelled_while_it_ends_leaves_nothing_behind(own_nats: Nats) -> None:
    """As it is when the connections to NATS and to PostgreSQL are lost one after the other."""
    before = asyncio.all_tasks()
    clients: list[Client] = []

    async def session() -> None:
        async with open_nats(own_nats.url, "twice", lambda reason: None) as client:
            clients.append(client)
            await client.subscribe(WAKE_SUBJECT, cb=ignore)
            this = asyncio.current_task()
            assert this is not None
            asyncio.get_running_loop().call_soon(this.cancel)
            raise Unavailable("the other connection is lost")

    async def ignore(_: Msg) -> None: ...

    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.create_task(session())

    await until(lambda: asyncio.all_tasks() <= before)
    assert clients[0].is_closed
