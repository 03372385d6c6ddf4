"""Publishing: steps, readiness, schedules, and what a storefront sees."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from stockward.catalog.v1 import catalog_pb2 as pb

from stockward_server.api.events.encoder import encode_event
from stockward_server.application.catalog import Catalog
from stockward_server.application.ports.catalog import CatalogTransaction
from stockward_server.domain.money import Money
from stockward_server.domain.product import Product, ProductState, Variant
from stockward_server.storage.catalog import SqlCatalog
from stockward_server.storage.database import Pool
from stockward_server.storage.write.mutation import Mutations
from tests.products import Code, State, create, draft, event_types, events, get, made, moment, step, until, update
from tests.shop import Callers, Shop, money, refused

THEN = datetime(2026, 1, 1, tzinfo=UTC)

# Publishing


async def test_a_life(pms: Callers, database: Pool) -> None:
    product = await create(pms, "Tee", "TEE-L")
    assert (await step(pms, "Publish", product, publish_time=moment(3600))).HasField("scheduled_publish_time")
    assert not (await step(pms, "Unpublish", product)).HasField("scheduled_publish_time")
    published = await step(pms, "Publish", product, publish_time=moment(-3600))
    assert published.state == State.STATE_PUBLISHED
    assert published.publish_time == published.update_time
    assert await step(pms, "Publish", product) == published
    unpublished = await step(pms, "Unpublish", product)
    assert unpublished.state == State.STATE_UNPUBLISHED
    assert await step(pms, "Unpublish", product) == unpublished
    archived = await step(pms, "Archive", product)
    assert archived.state == State.STATE_ARCHIVED
    assert await step(pms, "Archive", product) == archived
    restored = await step(pms, "Restore", product)
    assert restored.state == State.STATE_UNPUBLISHED
    assert await step(pms, "Restore", product) == restored
    assert restored.publish_time == published.publish_time
    assert await event_types(database, product) == [
        *("created", "scheduled", "updated", "published", "unpublished", "archived", "restored")
    ]
    assert (await get(pms, product)).version == 7


async def test_a_step_that_its_state_does_not_allow(pms: Callers) -> None:
    published = await step(pms, "Publish", await create(pms, "Tee", "TEE-L"))
    archived = await step(pms, "Archive", await create(pms, "Mug", "MUG"))
    later = {"publish_time": moment(3600)}
    refusals: list[tuple[str, pb.Product, dict[str, Any], str, str]] = [
        ("Publish", archived, {}, "ARCHIVED", "publish"),
        ("Publish", archived, later, "ARCHIVED", "schedule"),
        ("Publish", published, later, "PUBLISHED", "schedule"),
        ("Unpublish", archived, {}, "ARCHIVED", "unpublish"),
        ("Archive", published, {}, "PUBLISHED", "archive"),
        ("Restore", published, {}, "PUBLISHED", "restore"),
    ]
    for name, product, fields, state, action in refusals:
        refusal = await refused(step(pms, name, product, **fields))
        assert (refusal.code, refusal.reason) == (Code.FAILED_PRECONDITION, "PRODUCT_STATE_INVALID")
        assert refusal.metadata == {"product_id": product.product_id, "state": state, "action": action}
        assert await get(pms, product) == product


async def test_readiness_gates_publishing(pms: Callers) -> None:
    product = await create(pms, "Tee")
    for call in (step(pms, "Publish", product), step(pms, "Publish", product, publish_time=moment(3600))):
        refusal = await refused(call)
        assert (refusal.code, refusal.reason) == (Code.FAILED_PRECONDITION, "PRODUCT_NOT_READY")
        assert refusal.metadata == {"product_id": product.product_id, "issues": "NO_VARIANTS"}
        assert [(each.type, each.subject) for each in refusal.preconditions] == [("NO_VARIANTS", "variants")]
    assert await get(pms, product) == product


async def test_check_readiness_says_what_is_missing(pms: Callers) -> None:
    product = await create(pms, "Tee", "TEE-L", "TEE-M", price="0")
    answer = await pms.catalog.CheckReadiness(pb.CheckReadinessRequest(product_id=product.product_id))
    assert not answer.ready
    assert [(issue.code, issue.field) for issue in answer.blocking] == [
        ("PRICE_ZERO", "variants[0].price"),
        ("PRICE_ZERO", "variants[1].price"),
    ]
    assert answer.blocking[0].message == "the price of TEE-L is zero"
    assert {issue.code for issue in answer.warnings} == {"NO_IMAGE", "NO_DESCRIPTION", "NO_BARCODE"}
    for variant in product.variants:
        variant.price.CopyFrom(money("5"))
    await update(pms, product, variants=product.variants)
    assert (await pms.catalog.CheckReadiness(pb.CheckReadinessRequest(product_id=product.product_id))).ready


async def test_a_refusal_with_many_issues_still_arrives(pms: Callers) -> None:
    product = await create(pms, "Tee", *(f"{n:064}" for n in range(500)), price="0")
    refusal = await refused(step(pms, "Publish", product))
    assert (refusal.reason, refusal.metadata["issues"]) == ("PRODUCT_NOT_READY", "PRICE_ZERO")
    assert [each.subject for each in refusal.preconditions[:2]] == ["variants[0].price", "variants[1].price"]


async def test_a_published_product_must_stay_ready(pms: Callers, database: Pool) -> None:
    product = await step(pms, "Publish", await create(pms, "Tee", "TEE-L"))
    refusal = await refused(update(pms, product, "variants"))
    assert (refusal.reason, refusal.metadata["issues"]) == ("PRODUCT_NOT_READY", "NO_VARIANTS")
    assert await get(pms, product) == product
    assert await event_types(database, product) == ["created", "published"]


# Schedules


async def test_a_schedule_fires_while_nobody_is_connected(pms: Callers, database: Pool) -> None:
    product = await create(pms, "Tee", "TEE-L")
    scheduled = await step(pms, "Publish", product, publish_time=moment(0.3))
    assert scheduled.state == State.STATE_DRAFT
    await pms.channel.close()

    await until(database, product, "state = 2 AND scheduled_publish_time IS NULL AND publish_time IS NOT NULL")

    recorded = await events(database, product)
    assert [event.type for event in recorded] == ["product.created", "product.scheduled", "product.published"]
    assert (recorded[-1].actor, recorded[-1].request_id) == ("system", "")
    due = scheduled.scheduled_publish_time.ToNanoseconds()
    assert due <= recorded[-1].product.publish_time.ToNanoseconds() < due + 5e9


async def test_a_schedule_is_cleared_when_the_product_is_no_longer_ready(pms: Callers, database: Pool) -> None:
    product = await create(pms, "Tee", "TEE-L")
    await step(pms, "Publish", product, publish_time=moment(1))
    await update(pms, product, "variants")
    await until(database, product, "scheduled_publish_time IS NULL")
    assert (await get(pms, product)).state == State.STATE_DRAFT
    assert await event_types(database, product) == ["created", "scheduled", "updated", "updated"]


async def test_processes_share_the_schedules_that_are_due(database: Pool) -> None:
    products = [Product(str(uuid.uuid4()), f"p{n}", f"{n}", ProductState.DRAFT, THEN, THEN) for n in range(20)]
    catalogs = [SqlCatalog(database, Mutations(database, encode_event)) for _ in range(4)]

    async def arrange(transaction: CatalogTransaction) -> None:
        for product in products:
            variants = (Variant(product.handle, Money("EUR", 100)),)
            await transaction.save(replace(product, variants=variants, scheduled_publish_time=THEN), "product.created")

    await catalogs[0].change_unasked(arrange)
    rounds = await asyncio.gather(*(Catalog(each).publish_due() for each in catalogs))
    assert sum(rounds) == 20
    assert await database.fetchval("SELECT count(*) FROM products WHERE state = 2") == 20
    assert await database.fetchval("SELECT count(*) FROM events WHERE type = 'product.published'") == 20
    assert await Catalog(catalogs[0]).publish_due() == 0


async def test_a_product_under_edit_is_left_for_the_next_round(pms: Callers, database: Pool) -> None:
    product = await create(pms, "Tee", "TEE-L")
    async with database.acquire() as connection:
        async with connection.transaction():
            await connection.execute(
                "UPDATE products SET scheduled_publish_time = now() WHERE product_id = $1", product.product_id
            )
        async with connection.transaction():
            await connection.execute("SELECT FROM products WHERE product_id = $1 FOR UPDATE", product.product_id)
            other = await create(pms, "Mug", "MUG")
            await step(pms, "Publish", other, publish_time=moment(0.1))
            await until(database, other, "state = 2")


# The storefront


async def test_a_storefront_sees_published_products_only(pms: Callers, storefront: Callers) -> None:
    product = await create(pms, "Tee", "TEE-L")
    request = pb.GetAvailableProductRequest(product_id=product.product_id)

    async def visible() -> bool:
        answer = await storefront.catalog.ListAvailableProducts(pb.ListAvailableProductsRequest())
        if answer.products:
            (found,) = answer.products
            assert await storefront.catalog.GetAvailableProduct(request) == found
            return True
        refusal = await refused(storefront.catalog.GetAvailableProduct(request))
        assert (refusal.code, refusal.reason) == (Code.NOT_FOUND, "PRODUCT_NOT_FOUND")
        return False

    assert not await visible()
    await step(pms, "Publish", product, publish_time=moment(3600))
    assert not await visible()
    await step(pms, "Publish", product)
    assert await visible()
    await step(pms, "Unpublish", product)
    assert not await visible()
    await step(pms, "Archive", product)
    assert not await visible()


async def test_a_storefront_sees_prices_and_units_but_no_costs(shop: Shop) -> None:
    sent = draft("Tee", "TEE-L", "TEE-M", attributes={"supplier": "SECRET"}, vendor="Acme", tags=["new"])
    sent.variants[0].cost.CopyFrom(money("7.77"))
    sent.variants[0].compare_at_price.CopyFrom(money("24.90"))
    product = await step(shop.pms, "Publish", await made(shop.pms, sent))
    await shop.receive("TEE-L", 5)

    seen = await shop.storefront.catalog.GetAvailableProduct(
        pb.GetAvailableProductRequest(product_id=product.product_id)
    )

    assert [(v.sku, v.price, v.available) for v in seen.variants] == [
        ("TEE-L", money("19.90"), 5),
        ("TEE-M", money("19.90"), 0),
    ]
    assert seen.variants[0].compare_at_price == money("24.90")
    assert (seen.title, seen.handle, seen.vendor, seen.tags) == ("Tee", "tee", "Acme", ["new"])
    assert (seen.publish_time, seen.version) == (product.publish_time, product.version)
    answer = await shop.storefront.catalog.ListAvailableProducts(pb.ListAvailableProductsRequest(search="tee"))
    assert list(answer.products) == [seen]
    cost = sent.variants[0].cost.SerializeToString()
    assert cost in product.SerializeToString()
    for leaked in (cost, b"SECRET", b"supplier"):
        assert leaked not in answer.SerializeToString()


async def test_units_are_those_of_active_locations_without_safety_stock(shop: Shop) -> None:
    product = await step(shop.pms, "Publish", await create(shop.pms, "Tee", "TEE-L"))
    await shop.pool.execute(
        """
        INSERT INTO locations (location_id, name, priority, active)
        VALUES ('shop', 'Shop', 1, true), ('owing', 'Owing', 2, true), ('closed', 'Closed', 3, false)
        """
    )
    await shop.pool.execute(
        """
        INSERT INTO stock (sku, location_id, on_hand, reserved, allocated, safety_stock, backorder_limit, version,
                           update_time)
        VALUES ('TEE-L', 'main', 10, 1, 2, 3, 0, 1, now()), ('TEE-L', 'shop', 0, 0, 1, 0, 5, 1, now()),
               ('TEE-L', 'owing', 0, 0, 7, 0, 0, 1, now()), ('TEE-L', 'closed', 100, 0, 0, 0, 0, 1, now())
        """
    )
    seen = await shop.storefront.catalog.GetAvailableProduct(
        pb.GetAvailableProductRequest(product_id=product.product_id)
    )
    assert seen.variants[0].available == 4 + 4 - 7  # what is owed at one place has to come from the others


async def test_a_storefront_may_list_and_page_but_not_edit(pms: Callers, storefront: Callers) -> None:
    for number in range(3):
        await step(pms, "Publish", await create(pms, f"{number}", f"S-{number}"))
    first = await storefront.catalog.ListAvailableProducts(
        pb.ListAvailableProductsRequest(page_size=2, order_by="title")
    )
    rest = await storefront.catalog.ListAvailableProducts(
        pb.ListAvailableProductsRequest(page_size=2, order_by="title", page_token=first.next_page_token)
    )
    assert [product.title for product in (*first.products, *rest.products)] == ["0", "1", "2"]
    assert not rest.next_page_token
    for call in (create(storefront, "x"), storefront.catalog.ListProducts(pb.ListProductsRequest())):
        assert (await refused(call)).reason == "ROLE_NOT_ALLOWED"
