"""The record of events: read without ever missing one, kept for some days, put back into the outbox."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from stockward.event.v1.event_pb2 import Event, ListEventsRequest
from stockward.order.v1.order_pb2 import ListOrdersRequest

from stockward_server.api.events.servicer import EventServicer
from stockward_server.application.context import Caller, Role
from stockward_server.application.ports.events import Cursor
from stockward_server.auth.identity import Call, current_call
from stockward_server.domain.errors import CursorExpired, PageTokenInvalid
from stockward_server.storage.database import EVENTS, Pool, ensure_partitions, transaction
from stockward_server.storage.events.event_log import Selection, SqlEventLog, republish
from stockward_server.storage.write.retention import delete_expired_idempotency, drop_expired_events
from stockward_server.wire.page_token import encode
from stockward_server.wire.seal import Seal, Seals
from tests.batches import batches, note_batches
from tests.events import event, insert, pending, record, record_many, until
from tests.terminal import Outcome, in_process

NOW = datetime.now(UTC)


async def key() -> bytes:
    return bytes(32)


SEALS = Seals(key)
UNWATCHED: Any = None
"""In place of the watches, which a list does without."""

BY_STAFF = Call(Caller("pms", Role.PMS), "/stockward.event.v1.EventService/ListEvents")


async def read_all(
    log: SqlEventLog, after: Cursor | None = None, *, types: Sequence[str] = (), aggregate_id: str = ""
) -> list[Event]:
    """Page by page until caught up."""
    events: list[Event] = []
    while True:
        page = await log.list_events(after, 100, types, aggregate_id)
        events += [Event.FromString(payload) for payload in page.payloads]
        after = page.next
        if page.caught_up:
            return events


# Never missing one


async def test_an_event_with_a_lower_seq_that_commits_later_is_not_missed(database: Pool) -> None:
    log = SqlEventLog(database)
    await record(database, event("before", 1))
    async with transaction(database) as late:
        await insert(late, [event("late", 1)])  # drew its seq, and stays open
        await record(database, event("early", 1))  # a higher seq, committed first

        page = await log.list_events(None, 100)
        seen = [Event.FromString(payload).aggregate_id for payload in page.payloads]
        assert seen in ([], ["before"]), "whoever went on from `early` would never see `late`"

    page = await log.list_events(page.next, 100)
    seen += [Event.FromString(payload).aggregate_id for payload in page.payloads]
    assert seen == ["before", "late", "early"]
    assert page.caught_up


async def test_writers_above_all_finished_transactions_hold_the_horizon_back(database: Pool) -> None:
    """No snapshot reports them: its upper bound is the newest transaction that has *finished*. Here two run above it,
    and the one with the higher seq commits between the proof of the horizon and the read."""
    log = SqlEventLog(database)
    async with transaction(database) as gate, transaction(database) as late:
        await insert(late, [event("late", 1)])
        async with transaction(database) as early:
            await insert(early, [event("early", 1)])
            await gate.execute("LOCK TABLE event_retention IN ACCESS EXCLUSIVE MODE")  # list_events stops at it
            listing = asyncio.create_task(log.list_events(None, 100))
            await until(lambda: waits_for_a_lock(database))
        await gate.execute("ROLLBACK; BEGIN")
        page = await listing
        assert page.payloads == []
    assert [each.aggregate_id for each in await read_all(log, page.next)] == ["late", "early"]


async def waits_for_a_lock(pool: Pool) -> bool:
    return bool(
        await pool.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
    )


async def test_the_wait_for_running_transactions_is_short_and_what_is_proven_is_served(database: Pool) -> None:
    log = SqlEventLog(database)
    await record(database, event("proven", 1))
    assert len(await read_all(log)) == 1
    async with transaction(database) as late:
        await insert(late, [event("late", 1)])
        page = await asyncio.wait_for(log.list_events(None, 100), 5)
        assert len(page.payloads) == 1


async def test_readers_beside_busy_writers_see_every_event_once_and_in_order(database: Pool) -> None:
    """Transactions of many lengths, some of them rolled back, while a reader goes on from cursor to cursor."""

    async def write(writer: int) -> None:
        for version in range(1, 31):
            async with transaction(database) as connection:
                await insert(connection, [event(f"w{writer}", version)])
                await connection.execute("SELECT pg_sleep($1)", (writer * version % 7) / 1000)
            if version % 5 == 0:
                connection = await database.acquire()
                attempt = connection.transaction()
                await attempt.start()
                await insert(connection, [event("rolled-back", version)])
                await attempt.rollback()
                await database.release(connection)

    writing = asyncio.gather(*(write(number) for number in range(6)))
    log = SqlEventLog(database)
    seen: list[Event] = []
    after: Cursor | None = None
    while True:
        finished = writing.done()
        page = await log.list_events(after, 7)
        seen += [Event.FromString(payload) for payload in page.payloads]
        after = page.next
        if finished and page.caught_up:
            break
    await writing

    rows = await database.fetch("SELECT event_id::text AS id FROM events ORDER BY seq")
    assert [each.event_id for each in seen] == [row["id"] for row in rows]
    assert len(seen) == 180


# Pages and filters


async def test_pages_follow_each_other_and_the_end_is_told(database: Pool) -> None:
    log = SqlEventLog(database)
    empty = await log.list_events(None, 10)
    assert (empty.payloads, empty.caught_up) == ([], True)
    await record_many(database, 5, 5)

    first = await log.list_events(empty.next, 10)
    assert (len(first.payloads), first.caught_up) == (10, False)
    second = await log.list_events(first.next, 15)
    assert (len(second.payloads), second.caught_up) == (15, False)
    assert (await log.list_events(second.next, 10)).caught_up


async def test_filters_by_type_family_and_aggregate(database: Pool) -> None:
    log = SqlEventLog(database)
    types = ["order.created", "order.cancelled", "stock.low", "payment.updated"]
    await record(database, *(event(f"a{i % 3}", i, types[i % 4]) for i in range(24)))

    async def found(types: Sequence[str] = (), aggregate_id: str = "") -> set[tuple[str, str]]:
        events = await read_all(log, types=types, aggregate_id=aggregate_id)
        return {(each.type, each.aggregate_id) for each in events}

    assert {kind for kind, _ in await found(types=["order.*"])} == {"order.created", "order.cancelled"}
    assert {kind for kind, _ in await found(types=["stock.low", "payment.*"])} == {"stock.low", "payment.updated"}
    assert {aggregate for _, aggregate in await found(aggregate_id="a1")} == {"a1"}
    assert await found(types=["stock.low"], aggregate_id="a2") == {("stock.low", "a2")}
    assert await found(types=["product.created"]) == set()


async def test_a_rare_type_is_found_though_a_call_looks_at_a_part_of_the_record(
    database: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stockward_server.storage.events.event_log.SCAN_LIMIT", 10)
    await record_many(database, 10, 5)
    await record(database, event("rare", 1, "stock.shortfall"))

    log = SqlEventLog(database)
    first = await log.list_events(None, 10, types=["stock.*"])
    assert (first.payloads, first.next.seq, first.caught_up) == ([], 10, False)
    assert [each.aggregate_id for each in await read_all(log, types=["stock.*"])] == ["rare"]


# On the wire


async def test_a_cursor_leads_through_the_record(database: Pool) -> None:
    servicer = EventServicer(SqlEventLog(database), UNWATCHED, SEALS)
    current_call.set(BY_STAFF)
    await record_many(database, 3, 2)

    first = await servicer.ListEvents(ListEventsRequest(page_size=4), None)  # type: ignore[arg-type]
    rest = await servicer.ListEvents(ListEventsRequest(cursor=first.next_cursor), None)  # type: ignore[arg-type]

    assert [(e.aggregate_id, e.aggregate_version) for e in [*first.events, *rest.events]] == [
        (f"a{i}", version) for version in (1, 2) for i in range(3)
    ]
    assert (first.caught_up, rest.caught_up) == (False, True)
    assert rest.next_cursor


@pytest.mark.parametrize("cursor", ["nonsense", "AAAA", encode(Seal(bytes(32)), ListOrdersRequest(), [1])])
async def test_what_is_no_cursor_is_refused(database: Pool, cursor: str) -> None:
    servicer = EventServicer(SqlEventLog(database), UNWATCHED, SEALS)
    current_call.set(BY_STAFF)
    with pytest.raises(PageTokenInvalid) as refused:
        await servicer.ListEvents(ListEventsRequest(cursor=cursor), None)  # type: ignore[arg-type]
    assert refused.value.violations[0].field == "cursor"


# Retention


async def make_old_partition(pool: Pool, days_ago: int) -> datetime:
    """A partition for that day; answers a moment in it."""
    day = (NOW - timedelta(days=days_ago)).replace(hour=0, minute=0, second=0, microsecond=0)
    await pool.execute(
        f"CREATE TABLE events_{day:%Y%m%d} PARTITION OF events "
        f"FOR VALUES FROM ('{day:%Y-%m-%d} 00:00+00') TO ('{day + timedelta(days=1):%Y-%m-%d} 00:00+00')"
    )
    return day + timedelta(hours=12)


async def test_expired_events_go_and_a_cursor_among_them_is_told(database: Pool) -> None:
    old, kept = await make_old_partition(database, 40), await make_old_partition(database, 20)
    await record(database, event("old", 1), event("old", 2), time=old)
    await record(database, event("kept", 1), time=kept)
    log = SqlEventLog(database)
    first = await log.list_events(None, 1)
    last_of_old = await log.list_events(None, 2)
    await database.execute("DELETE FROM outbox")

    assert await drop_expired_events(database, 30) == [f"events_{old:%Y%m%d}"]

    with pytest.raises(CursorExpired) as refused:
        await log.list_events(first.next, 10)
    assert refused.value.metadata["oldest_time"] == f"{old + timedelta(hours=12):%Y-%m-%dT%H:%M:%SZ}"
    assert [each.aggregate_id for each in await read_all(log, last_of_old.next)] == ["kept"]
    assert [each.aggregate_id for each in await read_all(log)] == ["kept"]


async def test_events_that_are_not_published_yet_stay(database: Pool) -> None:
    old = await make_old_partition(database, 40)
    await record(database, event("waiting", 1), time=old)
    assert await drop_expired_events(database, 30) == []
    assert len(await read_all(SqlEventLog(database))) == 1

    await database.execute("DELETE FROM outbox")
    assert len(await drop_expired_events(database, 30)) == 1


async def test_a_partition_in_use_is_left_for_later(database: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stockward_server.storage.write.retention.LOCK_TIMEOUT", "50ms")
    await make_old_partition(database, 40)
    async with transaction(database) as reader:
        await reader.fetch("SELECT FROM events")
        assert await drop_expired_events(database, 30) == []
    assert len(await drop_expired_events(database, 30)) == 1


async def test_processes_that_drop_at_the_same_time_do_not_mind_each_other(database: Pool) -> None:
    for days_ago in (40, 41, 42):
        await make_old_partition(database, days_ago)
    await asyncio.gather(*(drop_expired_events(database, 30) for _ in range(4)))
    assert await drop_expired_events(database, 30) == []


async def test_partitions_of_the_days_in_use_are_never_dropped(database: Pool) -> None:
    async with database.acquire() as connection:
        await ensure_partitions(connection, EVENTS)
    assert await drop_expired_events(database, 1) == []


async def test_old_answers_are_deleted_in_batches(database: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stockward_server.storage.write.retention.STEP_BLOCKS", 1)
    await database.execute(
        """
        INSERT INTO idempotency (actor, request_id, method, fingerprint, response, create_time)
        SELECT 'tests', gen_random_uuid(), 'm', '', decode(repeat('ab', 1000), 'hex'),
               now() - make_interval(days => day)
        FROM generate_series(1, 10) day, generate_series(1, 5)
        """
    )
    await note_batches(database, "idempotency")
    assert await delete_expired_idempotency(database, 7) == 20  # a week is not over for those of the seventh day yet
    each = await batches(database)
    assert sum(each) == 20
    assert max(each) <= 8, "as many as have a place in a block of 8 KiB"
    assert await database.fetchval("SELECT count(*) FROM idempotency") == 30


# Republishing


async def test_republishing_puts_back_what_was_selected_and_nothing_else(
    database: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stockward_server.storage.events.event_log.REPUBLISH_BATCH", 4)
    await record_many(database, 5, 2, "order.created")
    middle = datetime.now(UTC)
    await record_many(database, 5, 2, "stock.low")
    before = await database.fetch("SELECT seq, shard, create_time FROM outbox ORDER BY seq")
    await database.execute("DELETE FROM outbox")
    progress: list[int] = []

    assert await republish(database, Selection(), progress.append) == 20
    assert await database.fetch("SELECT seq, shard, create_time FROM outbox ORDER BY seq") == before
    assert progress == [4, 8, 12, 16, 20]

    async def again(selection: Selection) -> int:
        await database.execute("DELETE FROM outbox")
        count = await republish(database, selection)
        assert await pending(database) == count
        return count

    assert await again(Selection(since=middle)) == 10
    assert await again(Selection(until=middle, types=["order.*"])) == 10
    assert await again(Selection(types=["stock.low"], aggregate_id="a3")) == 2
    assert await again(Selection(since=middle, types=["order.*"])) == 0


async def test_what_waits_in_the_outbox_is_not_put_there_twice(database: Pool) -> None:
    await record_many(database, 5, 2)
    assert await republish(database, Selection()) == 10
    assert await pending(database) == 10


async def test_the_command_republishes_what_it_is_told_to_and_nothing_by_default(
    database: Pool, database_url: str
) -> None:
    await record_many(database, 5, 2)
    await database.execute("DELETE FROM outbox")

    async def run(*words: str) -> Outcome:
        return await in_process("events", "republish", *words, DATABASE_URL=database_url)

    nothing = await run()
    assert (nothing.code, "say which events" in nothing.err) == (2, True)
    assert await pending(database) == 0
    everything = await run("--all", "--json")
    assert (everything.code, everything.json) == (0, {"republished": 10})
    assert await pending(database) == 10

    await database.execute("DELETE FROM outbox")
    await database.execute("UPDATE events SET aggregate_id = 'Café@main' WHERE aggregate_id = 'a3'")
    one = await run("--aggregate", "Cafe\u0301@main", "--json")
    assert (one.code, one.json) == (0, {"republished": 2})
