"""The token of a change is exact: it names the transaction of the change, or a later one for a repetition."""

from __future__ import annotations

import asyncio

from stockward.catalog.v1.catalog_pb2 import ImportProductsRequest, Product
from stockward.inventory.v1.inventory_pb2 import ADJUSTMENT_REASON_COUNTED, SyncStockRequest

from stockward_client import AsyncStockward, Stockward
from stockward_server.application.command import Command
from stockward_server.application.consistency import CommitPoint, begin_call
from stockward_server.storage.database import Pool
from stockward_server.wire.consistency_token import decode
from tests.commands import ResultCommitter, adjust, buy, committing, locked, request, sell, waiting_for_locks
from tests.events import until
from tests.shop import KEYS, Shop


async def done(committer: ResultCommitter, *commands: Command[object]) -> CommitPoint | None:
    """Returns the point that the calls of these commands, made at once, have reached."""
    points = begin_call(None)
    await asyncio.gather(*map(committer.submit, commands))
    return points.written


async def written_by(pool: Pool, sku: str) -> int:
    """The transaction that wrote the stock of a SKU last."""
    found = await pool.fetchval("SELECT xmin::text::bigint FROM stock WHERE sku = $1", sku)
    assert isinstance(found, int)
    return found


async def test_it_names_the_transaction_of_the_change(database: Pool) -> None:
    await sell(database, MUG=10)
    async with committing(database) as committer:
        for optimistic in (False, True):
            point = await done(committer, buy(("MUG", 1)))
            assert point == CommitPoint(0, await written_by(database, "MUG"))
            assert bool(committer.metrics.optimistic) == optimistic


async def test_of_several_changes_it_names_the_last(database: Pool) -> None:
    await sell(database, MUG=10, CUP=10)
    async with committing(database) as committer:
        point = await done(committer, buy(("MUG", 1)), adjust("CUP", 1), adjust("CUP", 1))
        assert point
        assert point.transaction >= max(await written_by(database, "MUG"), await written_by(database, "CUP"))


async def test_a_repetition_that_waited_covers_an_effect_that_is_younger_than_its_transaction(database: Pool) -> None:
    """It got its id, waited for another row, and then finds that the same request has sold the last unit elsewhere."""
    await sell(database, APPLE=1, ZEBRA=1)
    cause = request()
    async with committing(database) as early, committing(database) as late:
        async with locked(database, "APPLE"):
            own = begin_call(None)
            waiting = [
                asyncio.create_task(early.submit(each)) for each in (adjust("APPLE", 1), buy(("ZEBRA", 1), cause=cause))
            ]
            await until(lambda: waiting_for_locks(database, 1))
            effect = await done(late, buy(("ZEBRA", 1), cause=cause))
        assert effect
        await asyncio.gather(*waiting)
        assert own.written
        assert await written_by(database, "APPLE") < effect.transaction, "the transaction that waited is the older one"
        assert own.written >= effect


async def test_every_kind_of_change_answers_with_one(shop: Shop) -> None:
    row = SyncStockRequest(rows=[SyncStockRequest.Row(sku="TEE", on_hand=7)])
    await shop.sell("TEE", 5)
    async with AsyncStockward(shop.address, KEYS["pms"]) as staff:
        tokens = [staff.consistency_token]

        def note() -> None:
            tokens.append(staff.consistency_token)

        await staff.orders.list_orders().first(1)
        assert tokens == [staff.consistency_token] == [""]
        product = await staff.catalog.create_product(product=Product(title="Cup", handle="cup"))
        note()
        await staff.catalog.archive_product(product_id=product.product_id)
        note()
        await staff.catalog.import_products([ImportProductsRequest(product=Product(title="Imported"))])
        note()
        assert [answer.results[0].on_hand async for answer in staff.inventory.sync_stock([row])] == [7]
        note()
        assert tokens == sorted(set(tokens))
        assert decode(tokens[-1]).transaction == await written_by(shop.pool, "TEE")

        # It is handed on, and never becomes smaller.
        staff.consistency_token = tokens[1]
        assert staff.consistency_token == tokens[-1]

    def synchronously() -> list[str]:
        with Stockward(shop.address, KEYS["pms"]) as client:
            found = [client.consistency_token]
            client.catalog.import_products(iter([ImportProductsRequest(product=Product(title="Imported"))]))
            found.append(client.consistency_token)
            assert [answer.results[0].on_hand for answer in client.inventory.sync_stock(iter([row]))] == [7]
            found.append(client.consistency_token)
            client.inventory.adjust_stock(sku="TEE", delta=1, reason=ADJUSTMENT_REASON_COUNTED)
            return [*found, client.consistency_token]

    tokens = await asyncio.to_thread(synchronously)
    assert tokens == sorted(set(tokens))
