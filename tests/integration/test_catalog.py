"""Products: what staff create, find and edit, and what is kept of it."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import grpc
from stockward.catalog.v1 import catalog_pb2 as pb
from stockward.order.v1 import order_pb2

from stockward_server.storage.database import Pool
from tests.products import Code, State, create, draft, event_types, events, get, made, step, update
from tests.shop import Callers, Shop, money, refused

# Creating and reading


async def test_a_new_product_is_a_draft_whatever_is_sent(pms: Callers, database: Pool) -> None:
    sent = draft(
        "Crème brûlée",
        "CB-1",
        "CB-2",
        description="<b>Sweet</b>",
        vendor="Dolce",
        product_type="Dessert",
        tags=["sweet", "cold"],
        images=[pb.Image(url="https://shop.example/cb.jpg", alt_text="a bowl")],
        attributes={"supplier": "7"},
    )
    sent.variants[0].compare_at_price.CopyFrom(money("24.90"))
    sent.variants[0].cost.CopyFrom(money("1.05", "USD"))
    sent.variants[0].barcode = "4006381333931"
    sent.variants[1].weight_grams = 120
    sent.variants[1].image_url = "https://shop.example/cb2.jpg"
    with_more = pb.Product(product_id="mine", state=State.STATE_PUBLISHED, version=9, etag="9")
    with_more.MergeFrom(sent)

    created = await made(pms, with_more)

    assert created.state == State.STATE_DRAFT
    assert (created.version, created.handle) == (1, "creme-brulee")
    assert uuid.UUID(created.product_id).version == 7
    assert created.etag
    assert created.create_time == created.update_time
    assert not created.HasField("publish_time")
    for field, value in sent.ListFields():
        assert getattr(created, field.name) == value, field.name
    assert await get(pms, created) == created
    (event,) = await events(database, created)
    assert (event.type, event.actor, event.product.handle) == ("product.created", "pms", "creme-brulee")
    assert [variant.sku for variant in event.product.variants] == ["CB-1", "CB-2"]


async def test_an_unknown_product(pms: Callers) -> None:
    nobody = str(uuid.uuid4())
    for call in (
        pms.catalog.GetProduct(pb.GetProductRequest(product_id=nobody)),
        pms.catalog.CheckReadiness(pb.CheckReadinessRequest(product_id=nobody)),
        pms.catalog.PublishProduct(pb.PublishProductRequest(product_id=nobody)),
        pms.catalog.GetAvailableProduct(pb.GetAvailableProductRequest(product_id=nobody)),
        update(pms, pb.Product(product_id=nobody), title="x"),
    ):
        refusal = await refused(call)
        assert (refusal.code, refusal.reason) == (Code.NOT_FOUND, "PRODUCT_NOT_FOUND")
        assert refusal.metadata["product_id"] == nobody


async def test_a_bad_field_is_named_and_nothing_is_written(pms: Callers, database: Pool) -> None:
    product = await create(pms, "Tee", "TEE-L")
    bad: list[tuple[dict[str, Any], str, str]] = [
        ({"title": " "}, "FIELD_INVALID", "product.title"),
        ({"handle": "Not a handle"}, "FIELD_INVALID", "product.handle"),
        ({"tags": ["a", "a"]}, "FIELD_INVALID", "product.tags"),
        ({"variants": [pb.Variant(sku="A")]}, "FIELD_INVALID", "product.variants[0].price"),
        ({"variants": [pb.Variant(sku="A ", price=money("1"))]}, "FIELD_INVALID", "product.variants[0].sku"),
        ({"variants": [pb.Variant(sku="A", price=money("1.5", "JPY"))]}, "MONEY_INVALID", "product.variants[0].price"),
        ({"variants": [pb.Variant(sku="A", price=money("1", "XXY"))]}, "MONEY_INVALID", "product.variants[0].price"),
        ({"variants": [pb.Variant(sku="A", price=money("-1"))]}, "MONEY_INVALID", "product.variants[0].price"),
        (
            {"variants": [pb.Variant(sku="A", price=money("1"), cost=money("1.001"))]},
            "MONEY_INVALID",
            "product.variants[0].cost",
        ),
        (
            {"variants": [pb.Variant(sku="A", price=money("1"), compare_at_price=money("2", "USD"))]},
            "FIELD_INVALID",
            "product.variants[0].compare_at_price",
        ),
    ]
    for change, reason, field in bad:
        for call in (made(pms, pb.Product(**{"title": "Bad", **change})), update(pms, product, *change, **change)):
            refusal = await refused(call)
            assert (refusal.code, refusal.reason, refusal.fields) == (Code.INVALID_ARGUMENT, reason, [field])
    assert await get(pms, product) == product
    assert await database.fetchval("SELECT count(*) FROM products") == 1


async def test_text_that_cannot_be_stored_is_refused(pms: Callers) -> None:
    for call in (
        create(pms, "A\0B"),
        create(pms, "A", attributes={"k": "\0"}),
    ):
        assert (await refused(call)).reason == "FIELD_INVALID"
    assert not (await pms.catalog.ListProducts(pb.ListProductsRequest(search="A\0B"))).products


async def test_the_largest_product_is_stored_and_found(pms: Callers) -> None:
    words = "".join(chr(0x10400 + n % 40) + chr(0x4E00 + n) + " " for n in range(33_000))
    tags = [f"{n:03}" + "".join(chr(0x10000 + n * 197 + m) for m in range(197)) for n in range(250)]
    sent = draft("Huge", *(f"{n:064}" for n in range(500)), description=words[:99_990], tags=tags)
    product = await made(pms, sent)
    assert await get(pms, product) == product
    found = await pms.catalog.ListProducts(pb.ListProductsRequest(search=f"{499:064}"))
    assert [each.title for each in found.products] == ["Huge"]


# Edits


async def test_only_masked_fields_change_and_only_they_are_validated(pms: Callers, database: Pool) -> None:
    product = await create(pms, "Tee", "TEE-L", vendor="Acme", tags=["a"], attributes={"k": "v"})

    changed = await update(pms, product, "title", "tags", title="Best tee", vendor="x" * 999, handle="NO", tags=[])

    expected = pb.Product()
    expected.CopyFrom(product)
    expected.title = "Best tee"
    expected.ClearField("tags")
    expected.version, expected.etag = 2, changed.etag
    expected.update_time.CopyFrom(changed.update_time)
    assert changed == expected
    assert changed.etag != product.etag
    assert changed.update_time.ToNanoseconds() > product.update_time.ToNanoseconds()
    assert await get(pms, product) == changed
    assert await event_types(database, product) == ["created", "updated"]


async def test_without_a_mask_the_fields_that_are_set_change(pms: Callers) -> None:
    product = await create(pms, "Tee", "TEE-L", vendor="Acme")
    changed = await update(pms, product, title="Best tee")
    assert (changed.title, changed.vendor, len(changed.variants)) == ("Best tee", "Acme", 1)


async def test_a_star_replaces_every_field(pms: Callers) -> None:
    product = await create(pms, "Tee", "TEE-L", vendor="Acme", tags=["a"], attributes={"k": "v"}, description="d")
    changed = await update(pms, product, "*", title="Bare")
    assert (changed.title, changed.handle, changed.vendor, changed.description) == ("Bare", "tee", "", "")
    assert (list(changed.variants), list(changed.tags), dict(changed.attributes)) == ([], [], {})


async def test_a_mask_may_name_what_the_server_sets_but_nothing_unknown(pms: Callers, database: Pool) -> None:
    product = await create(pms)
    same = await update(pms, product, "state", "version", state=State.STATE_PUBLISHED, version=7, title="x")
    assert same == product
    for path in ("titel", "variants.price", "attributes.k"):
        refusal = await refused(update(pms, product, path, title="x"))
        assert (refusal.code, refusal.reason, refusal.fields) == (
            Code.INVALID_ARGUMENT,
            "FIELD_INVALID",
            ["update_mask"],
        )
    assert await event_types(database, product) == ["created"]


async def test_an_update_names_its_product(pms: Callers) -> None:
    for product_id in ("", "tee"):
        refusal = await refused(update(pms, pb.Product(product_id=product_id), title="x"))
        assert (refusal.reason, refusal.fields) == ("FIELD_INVALID", ["product.product_id"])


async def test_variants_are_replaced_as_a_whole_and_keep_their_order(pms: Callers) -> None:
    product = await create(pms, "Tee", "S", "M", "L")
    del product.variants[0]
    product.variants.reverse()
    product.variants[1].price.CopyFrom(money("25"))
    product.variants.append(pb.Variant(sku="XL", price=money("30")))
    changed = await update(pms, product, "variants", variants=product.variants)
    assert changed.variants == product.variants
    assert (await get(pms, product)).variants == product.variants


async def test_a_stale_etag_aborts(pms: Callers) -> None:
    stale = await create(pms, "Tee", "TEE-L")
    current = await update(pms, stale, title="Best tee")

    def call(name: str, etag: str) -> Any:
        if name == "Update":
            return update(pms, stale, vendor="Acme", etag=etag)
        return step(pms, name, stale, etag=etag)

    for name in ("Update", "Publish", "Unpublish", "Archive", "Restore"):
        refusal = await refused(call(name, stale.etag))
        assert (refusal.code, refusal.reason) == (Code.ABORTED, "ETAG_MISMATCH")
        assert refusal.metadata["etag"] == current.etag
        assert await get(pms, stale) == current
        current = await call(name, current.etag)


async def test_of_two_edits_of_one_reading_one_is_aborted(pms: Callers, database: Pool) -> None:
    product = await create(pms, "Tee", "TEE-L")
    answers = await asyncio.gather(
        *(update(pms, product, title=f"Tee {n}", etag=product.etag) for n in range(8)), return_exceptions=True
    )
    won = [answer for answer in answers if isinstance(answer, pb.Product)]
    lost = [answer.code() for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
    assert lost == [Code.ABORTED] * 7
    assert await get(pms, product) == won[0]
    assert await event_types(database, product) == ["created", "updated"]


async def test_edits_of_different_fields_at_once_all_stay(pms: Callers, database: Pool) -> None:
    product = await create(pms, "Tee", "TEE-L")
    variants = [pb.Variant(sku=f"TEE-{n}", price=money("5")) for n in range(20)]
    await asyncio.gather(
        update(pms, product, title="Best tee"),
        update(pms, product, vendor="Acme"),
        update(pms, product, variants=variants),
        update(pms, product, tags=["new"]),
        update(pms, product, attributes={"k": "v"}),
    )
    after = await get(pms, product)
    assert (after.title, after.vendor, list(after.tags)) == ("Best tee", "Acme", ["new"])
    assert dict(after.attributes) == {"k": "v"}
    assert after.variants == variants
    assert after.version == 6
    assert await event_types(database, product) == ["created"] + ["updated"] * 5


async def test_a_reader_never_sees_half_an_edit(pms: Callers) -> None:
    """Title and variants always belong together, also when the edit before has waited for a lock."""
    product = await create(pms, "0", "S-0")

    async def edit(number: int) -> None:
        await update(pms, product, title=f"{number}", variants=[pb.Variant(sku=f"S-{number}", price=money("5"))])

    async def read() -> None:
        seen = await get(pms, product)
        assert [variant.sku for variant in seen.variants] == [f"S-{seen.title}"]

    await asyncio.gather(*(each for number in range(1, 30) for each in (edit(number), read())))
    assert (await get(pms, product)).version == 30


# Names that are taken


async def test_a_sku_belongs_to_one_product(pms: Callers) -> None:
    owner = await create(pms, "Tee", "TEE-L")
    other = await create(pms, "Mug", "MUG")
    variants = [pb.Variant(sku=sku, price=money("5")) for sku in ("MUG", "MUG-2", "TEE-L")]
    for call in (
        made(pms, pb.Product(title="New", variants=[*variants[1:2], *variants[1:2], *variants[2:]])),
        made(pms, pb.Product(title="New", variants=variants[1:])),
        update(pms, other, variants=variants),
    ):
        refusal = await refused(call)
        assert (refusal.code, refusal.reason) == (Code.ALREADY_EXISTS, "SKU_TAKEN")
        index = int(refusal.fields[0].split("[")[1].split("]")[0])
        assert refusal.fields == [f"product.variants[{index}].sku"]
        assert index in (1, 2)
    assert refusal.metadata["sku"] == "TEE-L"
    assert index == 2
    assert (await get(pms, owner), await get(pms, other)) == (owner, other)
    assert (await create(pms, "Case matters", "tee-l")).variants[0].sku == "tee-l"


async def test_a_handle_belongs_to_one_product(pms: Callers) -> None:
    await create(pms, "Tee")
    other = await create(pms, "Mug")
    for call in (create(pms, "New", handle="tee"), update(pms, other, handle="tee")):
        refusal = await refused(call)
        assert (refusal.code, refusal.reason) == (Code.ALREADY_EXISTS, "HANDLE_TAKEN")
        assert (refusal.fields, refusal.metadata["handle"]) == (["product.handle"], "tee")


async def test_a_handle_made_from_a_title_is_made_unique(pms: Callers) -> None:
    created = await asyncio.gather(*(create(pms, "Tee & Co") for _ in range(8)))
    assert {product.handle for product in created} == {"tee-co", *(f"tee-co-{n}" for n in range(2, 9))}


async def test_of_many_who_want_a_sku_at_once_one_gets_it(pms: Callers) -> None:
    for number in range(5):
        skus = (f"A-{number}", f"B-{number}")
        wanted = [create(pms, f"{title}-{number}", *order) for title in "abcd" for order in (skus, skus[::-1])]
        answers = await asyncio.gather(*wanted, return_exceptions=True)
        (winner,) = [answer for answer in answers if isinstance(answer, pb.Product)]
        lost = [answer.code() for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
        assert lost == [Code.ALREADY_EXISTS] * 7
        assert await get(pms, winner) == winner


# Dropping variants


async def test_a_variant_with_stock_or_orders_stays(shop: Shop) -> None:
    product = await create(shop.pms, "Tee", "TEE-L", "TEE-M")
    await step(shop.pms, "Publish", product)
    keep = [product.variants[0]]

    async def drop_is_refused() -> None:
        refusal = await refused(update(shop.pms, product, variants=keep))
        assert (refusal.code, refusal.reason) == (Code.FAILED_PRECONDITION, "VARIANT_IN_USE")
        assert (refusal.metadata["sku"], refusal.fields) == ("TEE-M", ["product.variants"])
        assert [each.subject for each in refusal.preconditions] == ["TEE-M"]

    await shop.receive("TEE-M", 1)
    await drop_is_refused()
    order = await shop.order("TEE-M")
    await shop.receive("TEE-M", -1)
    assert await shop.counters("TEE-M") == (0, 0, 1)
    await drop_is_refused()
    await shop.pms.orders.CancelOrder(order_pb2.CancelOrderRequest(order_id=order.order_id))
    await update(shop.pms, product, variants=keep)
    assert await shop.pool.fetchval("SELECT count(*) FROM stock") == 0
    await shop.verify()


async def test_a_dropped_sku_can_be_had_by_another_product(shop: Shop) -> None:
    product = await create(shop.pms, "Tee", "TEE-L", "TEE-M")
    for units in (3, -3):
        await shop.receive("TEE-M", units)
    assert await shop.pool.fetchval("SELECT count(*) FROM stock_alerts WHERE clear_time IS NULL") == 1
    await update(shop.pms, product, variants=product.variants[:1])
    assert await shop.pool.fetchval("SELECT count(*) FROM stock_alerts WHERE clear_time IS NULL") == 0

    await create(shop.pms, "Other", "TEE-M")
    for units in (3, -3):
        await shop.receive("TEE-M", units)
    assert await shop.counters("TEE-M") == (0, 0, 0)


async def test_stock_that_arrives_while_its_variant_is_dropped(shop: Shop) -> None:
    """The first one wins; there is never stock without a variant, nor an error that nobody documented."""
    for number in range(10):
        product = await create(shop.pms, f"Tee {number}", f"A-{number}", f"B-{number}")
        received, dropped = await asyncio.gather(
            shop.receive(f"B-{number}", 5),
            update(shop.pms, product, variants=product.variants[:1]),
            return_exceptions=True,
        )
        if isinstance(dropped, grpc.aio.AioRpcError):
            assert dropped.code() == Code.FAILED_PRECONDITION
            assert await shop.counters(f"B-{number}") == (5, 0, 0)
        else:
            assert isinstance(received, grpc.aio.AioRpcError)
            assert received.code() == Code.NOT_FOUND


# request_id


async def test_a_repetition_is_answered_as_the_first_time(pms: Callers, database: Pool) -> None:
    request = pb.CreateProductRequest(product=draft("Tee", "TEE-L"), request_id=str(uuid.uuid4()))
    created = await pms.catalog.CreateProduct(request)
    await update(pms, created, title="Changed since")
    assert await pms.catalog.CreateProduct(request) == created
    assert await asyncio.gather(*(pms.catalog.CreateProduct(request) for _ in range(4))) == [created] * 4

    request_id = str(uuid.uuid4())
    first = await update(pms, created, vendor="Acme", request_id=request_id)
    await update(pms, created, vendor="Other")
    assert await update(pms, created, vendor="Acme", request_id=request_id) == first
    assert (await get(pms, created)).vendor == "Other"
    assert await event_types(database, created) == ["created", "updated", "updated", "updated"]
    assert (await events(database, created))[2].request_id == request_id


async def test_a_repetition_may_have_its_attributes_in_another_order(pms: Callers, database: Pool) -> None:
    request_id, names = str(uuid.uuid4()), [f"attribute {number}" for number in range(20)]
    first, second = [
        await pms.catalog.CreateProduct(
            pb.CreateProductRequest(product=draft("Tee", attributes=dict.fromkeys(order, "x")), request_id=request_id)
        )
        for order in (names, names[::-1])
    ]
    assert first == second
    assert await database.fetchval("SELECT count(*) FROM products") == 1


async def test_the_same_request_at_the_same_time_is_done_once(pms: Callers, database: Pool) -> None:
    request = pb.CreateProductRequest(product=draft("Tee", "TEE-L"), request_id=str(uuid.uuid4()))
    answers = await asyncio.gather(*(pms.catalog.CreateProduct(request) for _ in range(8)))
    assert all(answer == answers[0] for answer in answers)
    assert await database.fetchval("SELECT count(*) FROM products") == 1
    assert await event_types(database, answers[0]) == ["created"]


async def test_a_request_id_cannot_be_used_for_something_else(pms: Callers) -> None:
    request_id = str(uuid.uuid4())
    product = await pms.catalog.CreateProduct(
        pb.CreateProductRequest(product=draft("Tee", "TEE-L"), request_id=request_id)
    )
    for call in (
        pms.catalog.CreateProduct(pb.CreateProductRequest(product=draft("Mug", "MUG"), request_id=request_id)),
        update(pms, product, title="x", request_id=request_id),
        step(pms, "Archive", product, request_id=request_id),
    ):
        refusal = await refused(call)
        assert (refusal.code, refusal.reason) == (Code.ALREADY_EXISTS, "REQUEST_ID_REUSED")
    assert await get(pms, product) == product


async def test_a_refused_request_may_be_mended_under_its_id(pms: Callers) -> None:
    request_id = str(uuid.uuid4())
    product = await create(pms, "Tee")
    assert (await refused(step(pms, "Publish", product, request_id=request_id))).reason == "PRODUCT_NOT_READY"
    await update(pms, product, variants=draft("", "TEE-L").variants)
    assert (await step(pms, "Publish", product, request_id=request_id)).state == State.STATE_PUBLISHED
