"""What nobody foresaw in the committer's loop: it is logged, answered, and the next batch goes on. And who learns of
commits."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from stockward_server.api.events.encoder import encode_event
from stockward_server.application.response_codec import NO_RESPONSE
from stockward_server.application.unit_of_work import UnitOfWork
from stockward_server.domain.errors import DatabaseUnavailable
from stockward_server.storage.database import Executor, Pool, transaction
from stockward_server.storage.write.mutation import Mutations
from tests.commands import acknowledged, adjust, buy, committing, orders, request, sell, waiting_for_locks
from tests.events import until


async def test_an_error_in_its_loop_is_logged_and_survived(database: Pool, caplog: pytest.LogCaptureFixture) -> None:
    broken = True

    def trace(*_: object) -> None:
        if broken:
            raise RuntimeError("nobody foresaw this")

    await sell(database, MUG=10)
    async with committing(database, trace=trace) as committer:
        first = await committer.submit(buy(("MUG", 1)))
        await until(lambda: "nobody foresaw this" in caplog.text)
        broken = False
        async with asyncio.timeout(60):
            second = await committer.submit(buy(("MUG", 1)))
    assert sorted((first.order_id, second.order_id)) == await orders(database)


async def test_who_hears_of_commits_cannot_undo_one(database: Pool, caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("nobody foresaw this")

    await sell(database, MUG=10)
    async with committing(database, on_commit=fail) as committer:
        order = await committer.submit(buy(("MUG", 1)))
    assert [order.order_id] == await orders(database)
    assert "nobody foresaw this" in caplog.text


async def test_a_commit_is_heard_of_once_it_is_there(database: Pool) -> None:
    """Anyone who is notified looks at once, and would see what was before."""
    await database.execute(
        """
        CREATE FUNCTION commit_slowly() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END';
        CREATE CONSTRAINT TRIGGER commit_slowly AFTER INSERT ON idempotency DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION commit_slowly()
        """
    )
    heard: list[UnitOfWork] = []
    mutations = Mutations(database, encode_event, heard.append)

    async def nothing(connection: Executor, state: UnitOfWork) -> None:
        pass

    await sell(database, MUG=0)
    async with committing(database, on_commit=heard.append) as committer:
        for change in (committer.submit(adjust("MUG", 1)), mutations.run(request(), nothing, NO_RESPONSE)):
            heard.clear()
            async with transaction(database) as holder:
                await holder.execute("SELECT pg_advisory_xact_lock(1)")
                changing = asyncio.create_task(change)
                await until(lambda: waiting_for_locks(database, 1))
                assert not heard
            await changing
            assert len(heard) == 1


async def test_a_command_that_loses_many_races_is_carried_out_all_the_same(database: Pool) -> None:
    """Such as an order while its SKUs are renamed without a pause: the database is there, so nobody gets an error."""
    await sell(database, MUG=10)
    await database.execute(
        """
        CREATE SEQUENCE attempts;
        CREATE FUNCTION lose_races() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN IF nextval(''attempts'') <= 20 THEN RAISE SQLSTATE ''40001''; END IF; RETURN NEW; END';
        CREATE TRIGGER lose_races BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION lose_races()
        """
    )
    async with committing(database) as committer:
        order = await committer.submit(buy(("MUG", 1)))
    assert [order.order_id] == await orders(database)
    assert await database.fetchval("SELECT last_value FROM attempts") == 21


async def test_a_batch_that_the_database_refuses_is_not_tried_again(
    database: Pool, caplog: pytest.LogCaptureFixture
) -> None:
    """As with a full disk: neither the batch nor its commands one by one, and the log has one line."""
    await sell(database, MUG=10)
    await database.execute(
        """
        CREATE SEQUENCE attempts;
        CREATE FUNCTION be_full() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN PERFORM nextval(''attempts''); RAISE SQLSTATE ''53100''; END';
        CREATE TRIGGER be_full BEFORE INSERT ON orders FOR EACH STATEMENT EXECUTE FUNCTION be_full()
        """
    )
    async with committing(database) as committer:
        for _ in range(3):
            wanted = [committer.submit(buy(("MUG", 1))) for _ in range(9)]
            outcomes = await asyncio.gather(*wanted, return_exceptions=True)
            assert {str(each) for each in outcomes} == {"the disk of the database is full: nothing was changed"}
            assert {type(each) for each in outcomes} == {DatabaseUnavailable}
    assert await database.fetchval("SELECT last_value FROM attempts") == 3
    assert sum("is refused by the database" in message for message in caplog.messages) == 1


async def test_a_session_that_is_read_only_is_replaced(database: Pool, database_url: str) -> None:
    """A service may make a database read only while its disk is full, and its sessions may keep that."""
    await sell(database, MUG=10)
    name = await database.fetchval("SELECT current_database()")
    async with committing(database) as committer:
        await database.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        await database.expire_connections()
        with pytest.raises(DatabaseUnavailable, match="takes no changes at the moment"):
            await committer.submit(buy(("MUG", 1)))
        assert await database.fetchval("SELECT count(*) FROM orders") == 0
        connection = await asyncpg.connect(database_url)
        await connection.execute("SET default_transaction_read_only = off")
        await connection.execute(f'ALTER DATABASE "{name}" RESET ALL')
        await connection.close()
        order = await acknowledged(committer, buy(("MUG", 1)))
    assert [order.order_id] == await orders(database)
