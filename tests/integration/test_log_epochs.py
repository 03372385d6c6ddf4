"""A database that was restored or failed over: nobody skips an event without an error, and no seq is given
twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from stockward.catalog.v1.catalog_pb2 import GetProductRequest, Product, RenameSkuRequest, UpdateProductRequest
from stockward.event.v1.event_pb2 import Event, ListEventsRequest, ListEventsResponse
from stockward.webhook.v1.webhook_pb2 import CreateEndpointRequest, Endpoint, PingEndpointRequest
from typer.testing import CliRunner

from stockward_client import AsyncStockward, CursorLost, Stockward
from stockward_dev import Postgres
from stockward_server.api.events.encoder import encode_event
from stockward_server.application.ports.events import Cursor, EventsLost
from stockward_server.cli import app
from stockward_server.config import Settings
from stockward_server.storage import database as storage
from stockward_server.storage import log_epoch
from stockward_server.storage.database import Pool, is_database_down, open_pool, transaction
from stockward_server.storage.events.event_log import SqlEventLog
from stockward_server.storage.log_epoch import OnStandby, begin_epoch
from stockward_server.storage.webhooks.endpoint_health import SqlEndpointHealth
from tests.databases import PROGRAMS
from tests.events import event, insert, record, record_many, until, versions
from tests.shop import KEYS, Shop, refused, running_shop
from tests.unit.test_cursor import former_encode
from tests.watching import watch_availability, watch_orders, watch_stock

pytestmark = pytest.mark.long


async def epochs(pool: Pool) -> list[tuple[int, int, int]]:
    """Number, kept_seq, first_seq of each."""
    rows = await pool.fetch("SELECT number, kept_seq, first_seq FROM log_epochs ORDER BY number")
    return [(row["number"], row["kept_seq"], row["first_seq"]) for row in rows]


async def drawn(pool: Pool) -> list[int]:
    """The seqs of all events."""
    return [row["seq"] for row in await pool.fetch("SELECT seq FROM events ORDER BY seq")]


async def begin(pool: Pool) -> int:
    async with pool.acquire() as connection:
        return await begin_epoch(connection)


async def lost(log: SqlEventLog, cursor: Cursor) -> EventsLost:
    """What a reader that goes on from the cursor gets, by either way."""
    with pytest.raises(EventsLost) as checked:
        await log.check(cursor)
    with pytest.raises(EventsLost) as listed:
        await log.list_events(cursor, 10)
    assert (checked.value.common, checked.value.known) == (listed.value.common, listed.value.known)
    return checked.value


# Which cursors are good


async def test_a_cursor_within_the_common_record_goes_on_and_one_behind_it_is_told(database: Pool) -> None:
    log = SqlEventLog(database)
    await record_many(database, 5, 2)
    page = await log.list_events(None, 100)
    former = page.next
    assert await begin(database) == 10
    await record(database, event("new", 1))

    page = await log.list_events(former, 100)
    assert [Event.FromString(each).aggregate_id for each in page.payloads] == ["new"]
    assert page.next.epoch != former.epoch
    assert await log.check(former) == Cursor(10, page.next.epoch)

    for ghost in (Cursor(11, former.epoch), Cursor(11, "")):  # of the release before, too
        told = await lost(log, ghost)
        assert (told.common, told.known) == (Cursor(10, page.next.epoch), True)
        page = await log.list_events(told.common, 100)
        assert [Event.FromString(each).aggregate_id for each in page.payloads] == ["new"]


async def test_of_several_losses_the_first_one_counts(database: Pool) -> None:
    log = SqlEventLog(database)
    await record_many(database, 5, 1)
    first = (await log.list_events(None, 100)).next
    await begin(database)
    await record_many(database, 5, 1)
    second = (await log.list_events(None, 100)).next
    await begin(database)
    await record_many(database, 5, 1)
    assert (await lost(log, Cursor(6, first.epoch))).common.seq == 5
    assert (await lost(log, Cursor(second.seq + 1, first.epoch))).common.seq == 5
    assert (await lost(log, Cursor(second.seq + 1, second.epoch))).common.seq == second.seq
    for good in (first, second, Cursor(second.seq, ""), Cursor(0, "")):
        await log.check(good)


async def test_a_cursor_ahead_of_the_record_is_told_where_that_ends(database: Pool) -> None:
    log = SqlEventLog(database)
    await record_many(database, 5, 1)
    end = (await log.list_events(None, 100)).next
    assert end.seq == 5
    for ahead in (Cursor(6, end.epoch), Cursor(2**63 - 1, end.epoch), Cursor(2**63 - 1, "")):
        told = await lost(log, ahead)
        assert (told.common, told.known) == (end, False)


async def test_a_cursor_of_an_epoch_that_nobody_knows_is_told_where_the_record_ends(database: Pool) -> None:
    """Of a database that was restored from the same backup as this one, and went its own way."""
    log = SqlEventLog(database)
    await record_many(database, 5, 1)
    end = (await log.list_events(None, 100)).next
    told = await lost(log, Cursor(3, "00000000"))
    assert (told.common, told.known) == (end, False)


async def test_no_seq_is_given_twice(database: Pool) -> None:
    await record_many(database, 5, 1)
    await begin(database)
    await record(database, event("new", 1))
    (*_, (_, kept, first)) = await epochs(database)
    assert kept == 5
    assert (await drawn(database))[-1] == first + 1
    now = int(datetime.now(UTC).timestamp())
    assert (now - 60) << 20 < first < (now + 60) << 20 < 2**53, "JavaScript can have it"


async def test_a_reader_with_a_filter_gets_over_the_gap(database: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stockward_server.storage.events.event_log.SCAN_LIMIT", 10)
    log = SqlEventLog(database)
    await record_many(database, 5, 1)
    cursor = (await log.list_events(None, 100)).next
    await begin(database)
    page = await log.list_events(cursor, 100, ["stock.*"])
    assert (page.payloads, page.caught_up) == ([], True)
    await record(database, event("rare", 1, "stock.low"))
    page = await log.list_events(cursor, 100, ["stock.*"])
    assert (len(page.payloads), page.caught_up) == (1, True)


async def test_what_was_proven_of_another_record_is_forgotten(database: Pool) -> None:
    """A server that lives on over a failover: its horizon may lie above events that are still to be committed."""
    log = SqlEventLog(database)
    await record_many(database, 5, 1)
    await log.list_events(None, 100)
    log._horizon, log._mark = 2**62, (2**62, 2**62)
    await begin(database)
    async with transaction(database) as late:
        await insert(late, [event("late", 1)])
        await record(database, event("early", 1))
        page = await log.list_events(None, 100)
        assert page.payloads == [], "whoever went on from `early` would never see `late`"
    assert len((await log.list_events(page.next, 100)).payloads) == 7


# Versions


async def test_no_version_stands_for_two_events(shop: Shop) -> None:
    """Subscribers ignore what is not newer than what they have, and they may have events that are lost."""
    product_id = await shop.sell("MUG", 10)
    wanted = CreateEndpointRequest(endpoint=Endpoint(url="https://example.com/hook", types=["*"]))
    endpoint_id = (await shop.pms.webhooks.CreateEndpoint(wanted)).endpoint.endpoint_id
    order = await shop.order("MUG")
    product = await shop.pms.catalog.GetProduct(GetProductRequest(product_id=product_id))
    cursor = (await list_from(shop, "")).next_cursor
    await begin(shop.pool)
    *_, (_, _, first) = await epochs(shop.pool)

    await shop.pay(order)
    await shop.receive("MUG", 1)
    await shop.pms.catalog.UpdateProduct(  # an etag of before is good
        UpdateProductRequest(product=Product(product_id=product_id, etag=product.etag, title="Mug"))
    )
    await shop.pms.catalog.RenameSku(RenameSkuRequest(sku="MUG", new_sku="CUP"))
    await shop.pms.webhooks.PingEndpoint(PingEndpointRequest(endpoint_id=endpoint_id))
    health = SqlEndpointHealth(shop.pool, encode_event)
    await health.failing(endpoint_id, datetime.now(UTC) - timedelta(days=1))
    assert await health.warn(endpoint_id, "why", timedelta(hours=1))

    found = versions((await list_from(shop, cursor)).events)
    assert len(found) == 5
    assert found == {each: list(range(first, first + len(of_it))) for each, of_it in found.items()}


async def test_a_connection_that_outlives_a_failover_begins_an_epoch(shop: Shop) -> None:
    """Behind a pooler the server's connections stay open while the database changes."""
    await shop.sell("MUG", 10)
    assert len(await epochs(shop.pool)) == 1
    await shop.pool.execute("UPDATE log_epochs SET lineage = regexp_replace(lineage, '/[0-9A-F]{8}/', '/FFFFFFFF/')")
    levels = await asyncio.gather(*(shop.receive("MUG", 1) for _ in range(5)))
    (_, (_, _, first)) = await epochs(shop.pool)
    assert sorted(level.version for level in levels) == list(range(first, first + 5))
    assert min(seq for seq in await drawn(shop.pool) if seq > 1000) > first


# Up to where the record is common


async def test_a_gap_of_late_may_be_an_event_that_was_told(database: Pool) -> None:
    """Its transaction was under way when the backup was taken; a later one had committed."""
    await record_many(database, 4, 1)
    await database.execute("SELECT nextval('event_seq')")
    await record_many(database, 4, 1)
    assert await begin(database) == 4


async def test_a_gap_of_long_ago_is_of_a_transaction_that_failed(database: Pool) -> None:
    await record(database, event("old", 1), time=datetime.now(UTC) - timedelta(minutes=5))
    await database.execute("SELECT nextval('event_seq')")
    await record_many(database, 4, 1)
    assert await begin(database) == 6


async def test_an_empty_record_and_one_of_which_all_was_dropped(database: Pool) -> None:
    assert await begin(database) == 0
    await database.execute("UPDATE event_retention SET dropped_seq = 77")
    assert await begin(database) == 77


# How a server notices


async def call(program: str, *arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(str(PROGRAMS / program), *arguments)
    assert await process.wait() == 0


@asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncIterator[Pool]:
    pool = await open_pool(url, 5, **options)
    try:
        yield pool
    finally:
        await pool.close()


async def test_reconnecting_begins_no_epoch(database: Pool, database_url: str) -> None:
    await record_many(database, 2, 1)
    for _ in range(3):
        async with opened(database_url) as again:
            assert await epochs(again) == [(1, 0, 0)]


@pytest.mark.parametrize("way", ["elsewhere", "into the same database", "as a template"])
async def test_a_restored_database_begins_an_epoch_with_its_first_connection(
    database: Pool, database_url: str, postgres: Postgres, tmp_path: Path, way: str
) -> None:
    await record_many(database, 5, 1)
    backup = tmp_path / "shop.dump"
    await call("pg_dump", "--format=custom", f"--file={backup}", database_url)
    restored = database_url
    if way == "elsewhere":
        restored = await postgres.create_database("epoch_restored")
        await call("pg_restore", "--exit-on-error", f"--dbname={restored}", str(backup))
    elif way == "into the same database":
        await record_many(database, 5, 1)  # what is lost
        await database.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        await call("pg_restore", "--exit-on-error", f"--dbname={restored}", str(backup))
    else:
        await database.close()
        name = database_url.split("?")[0].rpartition("/")[2]
        async with opened(postgres.url(), read_only=True) as elsewhere:  # a template has no connections
            await elsewhere.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = $1", name
            )
        restored = await postgres.create_database("epoch_copy", template=name)

    async with opened(restored, read_only=True) as reader:
        assert [number for number, _, _ in await epochs(reader)] == [1], "who only looks begins none"
    async with opened(restored) as pool:
        await asyncio.gather(*(pool.fetchval("SELECT pg_sleep(0.05)") for _ in range(5)))
        (_, second) = await epochs(pool)
        assert second[:2] == (2, 5), "five connections at once begin one"
        await record(pool, event("new", 1))
        assert (await drawn(pool))[-1] > second[2]
    if restored != database_url:
        await postgres.drop_database(restored.split("?")[0].rpartition("/")[2])


async def test_a_standby_that_took_over_begins_an_epoch(tmp_path: Path) -> None:
    """By its timeline; nothing else is other than on the primary. Here one recovers from archived WAL."""
    async with Postgres.temporary({"restore_command": "false"}) as postgres:
        await storage.migrate(postgres.url())
        async with opened(postgres.url()) as pool:
            await record_many(pool, 5, 1)
            assert len(await epochs(pool)) == 1
        await postgres.stop()
        (postgres.data_dir / "recovery.signal").touch()
        await postgres.start()
        await until(lambda: took_over(postgres.url()))
        async with opened(postgres.url()) as pool:
            assert [epoch[:2] for epoch in await epochs(pool)] == [(1, 0), (2, 5)]


def test_a_standby_counts_as_a_database_that_is_away() -> None:
    assert is_database_down(OnStandby())


async def took_over(url: str) -> bool:
    """A server cannot use it before."""
    async with opened(url) as pool:
        try:
            return bool(await pool.fetchval("SELECT true"))
        except OnStandby:
            return False


async def test_where_the_functions_may_not_be_called_nothing_is_begun(
    database: Pool, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await database.execute("UPDATE log_epochs SET lineage = 'other'")
    denied = log_epoch.LINEAGE.replace("pg_control_system()", "pg_ls_logdir() AS l(system_identifier, b, c)")
    await database.execute("DROP ROLE IF EXISTS plain")
    await database.execute("CREATE ROLE plain; GRANT SELECT ON ALL TABLES IN SCHEMA public TO plain")
    monkeypatch.setattr("stockward_server.storage.log_epoch.LINEAGE", denied)
    async with database.acquire() as connection:
        await connection.execute("SET ROLE plain")
        try:
            await log_epoch.ensure_epoch(connection)
        finally:
            await connection.execute("RESET ROLE")
    await database.execute("DROP OWNED BY plain; DROP ROLE plain")
    assert len(await epochs(database)) == 1


async def test_the_command_begins_an_epoch(database: Pool, database_url: str) -> None:
    await record_many(database, 5, 1)
    await database.execute("UPDATE log_epochs SET lineage = 'other'")
    environment = {"DATABASE_URL": database_url, "NO_COLOR": "1"}
    result = await asyncio.to_thread(CliRunner().invoke, app, ["events", "new-epoch", "--json"], env=environment)
    assert (result.exit_code, json.loads(result.stdout)) == (0, {"kept_seq": 5})
    async with opened(database_url) as pool:
        assert [epoch[:2] for epoch in await epochs(pool)] == [(1, 0), (2, 5)], "and no other one with the next server"
    result = await asyncio.to_thread(CliRunner().invoke, app, ["events", "new-epoch"], env=environment)
    assert "common up to seq 5" in result.stdout


# On the wire


async def list_from(shop: Shop, cursor: str) -> ListEventsResponse:
    answer: ListEventsResponse = await shop.pms.events.ListEvents(ListEventsRequest(cursor=cursor))
    return answer


async def test_a_reader_is_told_over_a_restore(
    shop: Shop, settings: Settings, postgres: Postgres, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await shop.sell("MUG", 10)
    common_part = await list_from(shop, "")
    before, common_time = common_part.next_cursor, common_part.events[-1].time.ToDatetime(UTC)
    backup = tmp_path / "shop.dump"
    await call("pg_dump", "--format=custom", f"--file={backup}", settings.database_url.get_secret_value())
    for _ in range(3):
        await shop.receive("MUG", 1)
    ghost = (await list_from(shop, "")).next_cursor

    restored = await postgres.create_database("told_restored")
    await call("pg_restore", "--exit-on-error", f"--dbname={restored}", str(backup))
    async with running_shop(Settings.model_validate({**settings.model_dump(), "database_url": restored})) as again:
        for _ in range(9):  # the record grows past where the cursor was
            await again.receive("MUG", 1)
        refusal = await refused(list_from(again, ghost))
        assert (refusal.code.name, refusal.reason) == ("OUT_OF_RANGE", "CURSOR_LOST")
        assert (refusal.fields, refusal.metadata["common"]) == (["cursor"], "true")
        assert datetime.fromisoformat(refusal.metadata["time"]) == common_time
        assert f"up to which the record is what it was ({common_time:%Y-%m-%d %H:%M:%S} UTC)" in refusal.message
        common = await list_from(again, refusal.metadata["cursor"])
        assert common == await list_from(again, before)
        assert len(common.events) >= 9
        for watch in (
            watch_stock(again.pms, "MUG", cursor=ghost),
            watch_availability(again.storefront, "MUG", cursor=ghost),
            watch_orders(again.pms, cursor=ghost),
        ):
            async with watch:
                ended = await watch.end()
                assert (ended.code.name, ended.reason) == ("OUT_OF_RANGE", "CURSOR_LOST")
        async with watch_stock(again.pms, "MUG", cursor=before) as watch:
            await watch.until(lambda watch: len(watch.versions.get("MUG@main", ())) == 9)
        async with AsyncStockward(again.address, KEYS["pms"]) as staff:
            async for response in staff.inventory.watch_stock(skus=["MUG"], cursor=ghost):
                assert [each.on_hand for each in response.stock_levels] == [19], "the present state"
                break
            assert f"({common_time:%Y-%m-%d %H:%M:%S} UTC)" in caplog.text, "the client says up to when"
            with pytest.raises(CursorLost) as error:
                await anext(staff.events.list_events(cursor=ghost).pages())
            assert error.value.metadata["cursor"]

        def present() -> list[int]:
            with Stockward(again.address, KEYS["pms"]) as staff:
                return [
                    each.on_hand for each in next(staff.inventory.watch_stock(skus=["MUG"], cursor=ghost)).stock_levels
                ]

        assert await asyncio.to_thread(present) == [19]
    await postgres.drop_database("told_restored")


async def test_a_watch_that_is_open_when_an_epoch_begins_is_resumed_by_its_cursor(shop: Shop) -> None:
    """A failover under a server that lives on: the server cannot know what each watch has sent."""
    await shop.sell("MUG", 10)
    async with watch_stock(shop.pms, "MUG") as staff, watch_availability(shop.storefront, "MUG") as storefront:
        await staff.begun()
        await storefront.begun()
        await begin(shop.pool)
        await shop.receive("MUG", 1)
        for watch in (staff, storefront):
            assert (await watch.end()).code is grpc.StatusCode.UNAVAILABLE
    async with watch_stock(shop.pms, "MUG", cursor=staff.cursor) as resumed:
        await resumed.until(lambda watch: len(watch.versions.get("MUG@main", ())) == 1)
    async with watch_availability(shop.storefront, "MUG", cursor=storefront.cursor) as resumed:
        await resumed.until(lambda watch: watch.available == {"MUG": 11})


async def test_cursors_of_the_release_before_are_good(shop: Shop) -> None:
    await shop.sell("MUG", 10)
    events = (await list_from(shop, "")).events
    seqs = await drawn(shop.pool)
    assert list((await list_from(shop, former_encode(seqs[1]))).events) == list(events[2:])
    refusal = await refused(list_from(shop, former_encode(seqs[-1] + 1000)))
    assert (refusal.reason, refusal.metadata["common"]) == ("CURSOR_LOST", "false")


async def test_the_horizon_is_proven_after_an_epoch_began(shop: Shop) -> None:
    await shop.sell("MUG", 10)
    await begin(shop.pool)

    async def read_to_the_end() -> bool:
        return (await list_from(shop, "")).caught_up

    await until(read_to_the_end)
