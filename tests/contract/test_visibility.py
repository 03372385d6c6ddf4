"""What is not for sale does not exist for a storefront: every method, every state of a product, key and token alike."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from stockward.catalog.v1 import catalog_pb2 as catalog
from stockward.event.v1 import event_pb2 as events
from stockward.inventory.v1 import inventory_pb2 as inventory
from stockward.order.v1 import order_pb2 as orders

from stockward_dev import Nats
from tests.contract.test_access import allowed_by_contract
from tests.issuer import Issuer
from tests.known_shop import METHODS, hold, line, method_of, order
from tests.shop import Callers, Refused, Shop, callers, money, refused, running_shop

HIDDEN = ["DRAFT", "SCHEDULED", "UNPUBLISHED", "UNPUBLISHED AND EDITED", "ARCHIVED", "RESTORED"]
"""States in which a product is not for sale, each with how it came there."""


class Goods:
    """The shop, and the product that is in each state. Its SKU, title and so on hold one word that nothing else has."""

    def __init__(self, shop: Shop, customer: Callers) -> None:
        self.shop = shop
        self.callers = {"key": shop.storefront, "customer's token": customer}
        self.words: dict[str, str] = {}
        self.ids: dict[str, str] = {}

    async def make(self, state: str) -> None:
        staff, word = self.shop.pms.catalog, f"{state.replace(' ', '')}GOODS"
        product = catalog.Product(
            title=f"{word} title",
            handle=word.lower(),
            vendor=word,
            product_type=word,
            tags=[word],
            variants=[catalog.Variant(sku=word, price=money("10.00"))],
        )
        product_id = (await staff.CreateProduct(catalog.CreateProductRequest(product=product))).product_id
        self.words[state], self.ids[state] = word, product_id
        await self.shop.receive(word, 7)
        if state == "SCHEDULED":
            later = catalog.PublishProductRequest(product_id=product_id)
            later.publish_time.FromDatetime(datetime.now(UTC) + timedelta(days=9))
            await staff.PublishProduct(later)
        if state not in ("DRAFT", "SCHEDULED"):
            await staff.PublishProduct(catalog.PublishProductRequest(product_id=product_id))
            if state != "PUBLISHED":
                await staff.UnpublishProduct(catalog.UnpublishProductRequest(product_id=product_id))
        if state == "UNPUBLISHED AND EDITED":
            await retitle(self.shop, product_id, "codename of the next season")
        if state in ("ARCHIVED", "RESTORED"):
            await staff.ArchiveProduct(catalog.ArchiveProductRequest(product_id=product_id))
        if state == "RESTORED":
            await staff.RestoreProduct(catalog.RestoreProductRequest(product_id=product_id))
        await self.shop.receive(word, 1)
        await self.shop.receive(word, -1)


async def retitle(shop: Shop, product_id: str, title: str) -> None:
    edit = catalog.UpdateProductRequest(product=catalog.Product(product_id=product_id, title=title))
    edit.update_mask.paths.append("title")
    await shop.pms.catalog.UpdateProduct(edit)


@pytest.fixture(scope="module")
async def goods(
    module_database_url: str, nats: Nats, issuer: Issuer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Goods]:
    settings = issuer.settings(tmp_path_factory.mktemp("issuer"), module_database_url, nats.url)
    async with running_shop(settings) as shop, AsyncExitStack() as stack:
        ada = callers(shop.address, issuer.token("key", role="storefront", sub="ada", customer_id="ada"))
        stack.push_async_callback(ada.channel.close)
        goods = Goods(shop, ada)
        for state in [*HIDDEN, "PUBLISHED"]:
            await goods.make(state)
        yield goods


# What a storefront may not see looks like nothing

Probe = Callable[[str, str], Message]
"""Makes a request from a SKU, or a word of the product, and the product's id."""

PROBES: dict[str, list[Probe]] = {
    "GetAvailability": [lambda sku, _: inventory.GetAvailabilityRequest(sku=sku)],
    "BatchGetAvailability": [
        lambda sku, _: inventory.BatchGetAvailabilityRequest(skus=[sku]),
        lambda sku, _: inventory.BatchGetAvailabilityRequest(skus=["NOTHING", sku, "NOTHING", sku]),
    ],
    "WatchAvailability": [lambda sku, _: inventory.WatchAvailabilityRequest(skus=[sku])],
    "ReserveStock": [
        lambda sku, _: hold((sku, 1)),
        lambda sku, _: hold(("PUBLISHEDGOODS", 10**9), (sku, 10**9)),
    ],
    "CreateOrder": [
        lambda sku, _: order(line(sku)),
        lambda sku, _: order(line("PUBLISHEDGOODS", 10**9), line(sku, 10**9)),
        lambda sku, _: order(line(sku, shown_unit_price=money("1.00"))),
        lambda sku, _: order(line(sku, shown_unit_price=money("1.00", "USD"))),
        lambda sku, _: order(line("PUBLISHEDGOODS", shown_unit_price=money("1.00")), line(sku)),
    ],
    "BatchCreateOrders": [lambda sku, _: orders.BatchCreateOrdersRequest(requests=[order(line(sku))])],
    "GetAvailableProduct": [lambda _, product_id: catalog.GetAvailableProductRequest(product_id=product_id)],
    "ListAvailableProducts": [
        lambda word, _: catalog.ListAvailableProductsRequest(search=word),
        lambda word, _: catalog.ListAvailableProductsRequest(search=f"{word} title"),
        lambda word, _: catalog.ListAvailableProductsRequest(vendor=word),
        lambda word, _: catalog.ListAvailableProductsRequest(product_type=word),
        lambda word, _: catalog.ListAvailableProductsRequest(tag=word),
    ],
    "ListEvents": [
        lambda sku, _: events.ListEventsRequest(aggregate_id=f"{sku}@main"),
        lambda sku, _: events.ListEventsRequest(aggregate_id=f"{sku}@main", page_size=1, types=["stock.*"]),
        lambda _, product_id: events.ListEventsRequest(
            aggregate_id=product_id, types=["product.created", "product.updated", "product.published", "stock.*"]
        ),
    ],
}
"""What a storefront may ask about a SKU or a product that it guessed, by the method."""

OF_THE_CUSTOMER = {
    "GetOrder",
    "ListOrders",
    "CancelOrder",
    "GetReservation",
    "ExtendReservation",
    "ReleaseReservation",
} | {"ListOrderTimeline", "AnnounceReturn", "WithdrawReturn"}
"""These name what the caller holds or has ordered already, whatever became of the product."""

NAMES_GOODS = {"sku", "skus", "product_id", "handle", "search", "vendor", "product_type", "tag", "aggregate_id"}


def fields_of(message: Descriptor) -> set[str]:
    inner = (field.message_type for field in message.fields if field.message_type)
    nested = (fields_of(each) for each in inner if each.full_name.startswith("stockward."))
    return {field.name for field in message.fields}.union(*nested)


def test_every_method_that_can_name_goods_is_tried() -> None:
    """A method that is opened to storefronts is to be added to one of the two."""
    opened = {method.name: method for method in METHODS if "storefront" in allowed_by_contract(method)}
    assert opened.keys() == PROBES.keys() | OF_THE_CUSTOMER | {"WhoAmI"}
    naming = {name for name, method in opened.items() if fields_of(method.input_type) & NAMES_GOODS}
    assert naming == PROBES.keys() | {"ListOrders"}, "ListOrders looks for a SKU in the customer's own orders"


async def answer_of(by: Callers, request: Message) -> Any:
    """What the caller gets to the letter: the messages, or code, text, details and trailers of the error."""
    method = method_of(request)
    area = method.full_name.split(".")[1]
    stub = getattr(by, {"order": "orders", "event": "events"}.get(area, area))
    call = getattr(stub, method.name)(request)
    try:
        if method.server_streaming:
            async for response in call:
                if response.cursor:
                    return [MessageToDict(response)]
        return [MessageToDict(await call)]
    except grpc.aio.AioRpcError as error:
        trailers = sorted(key for key, _ in error.trailing_metadata() or ())
        return [str(error.code()), error.details(), str(Refused(error).status), trailers]
    finally:
        if method.server_streaming:
            call.cancel()


def without(answer: Any, *names: str) -> str:
    text = json.dumps(answer, sort_keys=True)
    for name in names:
        text = text.replace(name, "NAME")
    return text


CASES = [(name, number) for name, probes in PROBES.items() for number in range(len(probes))]


@pytest.mark.parametrize(("name", "number"), CASES)
@pytest.mark.parametrize("state", HIDDEN)
async def test_what_is_not_for_sale_is_as_if_it_were_not(goods: Goods, name: str, number: int, state: str) -> None:
    probe = PROBES[name][number]
    word, product_id = goods.words[state], goods.ids[state]
    nothing, no_id = "N" * len(word), product_id[:-12] + "000000000000"
    for by in goods.callers.values():
        told = await answer_of(by, probe(word, product_id))
        expected = await answer_of(by, probe(nothing, no_id))
        assert without(told, word, product_id) == without(expected, nothing, no_id)
        assert "title" not in json.dumps(told)
    if name in ("GetAvailability", "ReserveStock", "CreateOrder"):
        staff = await answer_of(goods.shop.pms, probe(word, product_id))
        assert staff != await answer_of(goods.shop.pms, probe(nothing, no_id)), "staff are told what there is"


@pytest.mark.parametrize("name", [name for name in PROBES if name not in ("ReserveStock", "CreateOrder")])
async def test_what_is_for_sale_is_there(goods: Goods, name: str) -> None:
    """The same questions about a product that is published are answered otherwise: they do ask for it."""
    word, product_id = goods.words["PUBLISHED"], goods.ids["PUBLISHED"]
    nothing, no_id = "N" * len(word), product_id[:-12] + "000000000000"
    for probe in PROBES[name]:
        told = await answer_of(goods.shop.storefront, probe(word, product_id))
        expected = await answer_of(goods.shop.storefront, probe(nothing, no_id))
        assert without(told, word, product_id) != without(expected, nothing, no_id)


async def test_staff_are_told_what_is_not_published(goods: Goods) -> None:
    sku = goods.words["DRAFT"]
    got = await goods.shop.pms.inventory.GetAvailability(inventory.GetAvailabilityRequest(sku=sku))
    assert got.available == 7
    refusal = await refused(goods.shop.pms.orders.CreateOrder(order(line(sku))))
    assert (refusal.code.name, refusal.reason) == ("FAILED_PRECONDITION", "PRODUCT_NOT_PUBLISHED")


async def test_a_list_has_only_what_is_for_sale(goods: Goods) -> None:
    for by in goods.callers.values():
        page = await by.catalog.ListAvailableProducts(catalog.ListAvailableProductsRequest(page_size=1000))
        assert [product.product_id for product in page.products] == [goods.ids["PUBLISHED"]]


# Events


async def listed(by: Callers, **fields: Any) -> list[events.Event]:
    """Everything that a caller can list, page by page."""
    found: list[events.Event] = []
    request = events.ListEventsRequest(**fields)
    while True:
        page = await by.events.ListEvents(request)
        found += page.events
        request.cursor = page.next_cursor
        if page.caught_up:
            return found
        assert page.events or not fields.get("aggregate_id")


async def test_events_are_those_of_what_is_for_sale_and_that_something_no_longer_is(goods: Goods) -> None:
    told = await listed(goods.shop.storefront)
    of = {product_id: state for state, product_id in goods.ids.items()}
    sku_of = {f"{word}@main": state for state, word in goods.words.items()}
    kinds: dict[str, list[str]] = {state: [] for state in goods.ids}
    for event in told:
        state = of.get(event.aggregate_id) or sku_of.get(event.aggregate_id)
        if state:
            kinds[state].append(event.type)
    assert kinds.pop("PUBLISHED")[:3] == ["product.published", "stock.changed", "stock.changed"]
    never = {"DRAFT", "SCHEDULED"}
    assert kinds == {state: [] if state in never else ["product.unpublished"] for state in HIDDEN}
    assert b"codename" not in b"".join(event.SerializeToString() for event in told)
    everything = await listed(goods.shop.pms)
    assert len(everything) > len(told) + 20


async def test_pages_of_events_go_on_over_what_is_hidden(goods: Goods) -> None:
    told = await listed(goods.shop.storefront)
    for size in (1, 2, 3):
        assert await listed(goods.shop.storefront, page_size=size) == told
    page = await goods.shop.storefront.events.ListEvents(events.ListEventsRequest(page_size=len(told)))
    assert len(page.events) == len(told), "a page is filled though much of the record is hidden"


async def test_a_draft_stays_secret_after_it_is_published(goods: Goods) -> None:
    shop = goods.shop
    draft = catalog.Product(title="Codename", variants=[catalog.Variant(sku="LATER", price=money("99.00"))])
    product = await shop.pms.catalog.CreateProduct(catalog.CreateProductRequest(product=draft))
    await retitle(shop, product.product_id, "Second codename")
    await retitle(shop, product.product_id, "Lamp")
    of_it = {"aggregate_id": product.product_id}
    assert await listed(shop.storefront, **of_it) == []
    wanted = catalog.PublishProductRequest(product_id=product.product_id)
    await shop.pms.catalog.PublishProduct(wanted)
    await retitle(shop, product.product_id, "Lamp, large")
    told = [(event.type, event.product.title) for event in await listed(shop.storefront, **of_it)]
    assert told == [("product.published", "Lamp"), ("product.updated", "Lamp, large")]

    await shop.pms.catalog.UnpublishProduct(catalog.UnpublishProductRequest(product_id=product.product_id))
    await retitle(shop, product.product_id, "Third codename")
    told = [(event.type, event.product.title) for event in await listed(shop.storefront, **of_it)]
    assert told == [("product.unpublished", "Lamp, large")]
    await retitle(shop, product.product_id, "Lamp again")
    await shop.pms.catalog.PublishProduct(wanted)
    told = [(event.type, event.product.title) for event in await listed(shop.storefront, **of_it)]
    assert told == [("product.unpublished", "Lamp, large"), ("product.published", "Lamp again")]
    await shop.pms.catalog.UnpublishProduct(catalog.UnpublishProductRequest(product_id=product.product_id))


async def test_the_stock_of_a_draft_stays_secret_when_its_name_goes_to_what_is_for_sale(goods: Goods) -> None:
    shop = goods.shop
    for sku in ("SECRET-1", "SECRET-2"):
        draft = catalog.Product(title="Codename", variants=[catalog.Variant(sku=sku, price=money("99.00"))])
        await shop.pms.catalog.CreateProduct(catalog.CreateProductRequest(product=draft))
        await shop.receive(sku, 77)
    await shop.sell("FOR-SALE-1", 5)
    for_sale_2 = await shop.sell("FOR-SALE-2", 5)
    for sku, new_sku in [("SECRET-1", "S1"), ("FOR-SALE-1", "SECRET-1"), ("SECRET-2", "S2")]:
        await shop.pms.catalog.RenameSku(catalog.RenameSkuRequest(sku=sku, new_sku=new_sku))
    two = [catalog.Variant(sku=sku, price=money("9.00"), options={"Size": sku}) for sku in ("FOR-SALE-2", "SECRET-2")]
    edit = catalog.UpdateProductRequest(product=catalog.Product(product_id=for_sale_2, variants=two))
    edit.update_mask.paths.append("variants")
    await shop.pms.catalog.UpdateProduct(edit)
    await shop.receive("SECRET-2", 3)

    told = await listed(shop.storefront, types=["stock.*"])
    of = {sku: [e.stock for e in told if e.aggregate_id == f"{sku}@main"] for sku in ("SECRET-1", "SECRET-2")}
    assert [(each.on_hand, each.renamed_from_sku) for each in of["SECRET-1"]] == [(5, "FOR-SALE-1")]
    assert [each.on_hand for each in of["SECRET-2"]] == [3]


# What was promised stays


async def test_a_hold_stays_good_when_its_product_is_unpublished(goods: Goods) -> None:
    shop = goods.shop
    product_id = await shop.sell("PROMISED", 9, price="10.00")
    for by in goods.callers.values():
        await shop.pms.catalog.PublishProduct(catalog.PublishProductRequest(product_id=product_id))
        held = [await by.inventory.ReserveStock(hold(("PROMISED", 1))) for _ in range(2)]
        await shop.pms.catalog.UnpublishProduct(catalog.UnpublishProductRequest(product_id=product_id))
        edit = catalog.UpdateProductRequest(product=catalog.Product(product_id=product_id))
        edit.product.variants.add(sku="PROMISED", price=money("12.34"))
        edit.update_mask.paths.append("variants")
        await shop.pms.catalog.UpdateProduct(edit)

        named = {"reservation_id": held[0].reservation_id}
        await by.inventory.ExtendReservation(inventory.ExtendReservationRequest(**named))
        assert (await by.inventory.GetReservation(inventory.GetReservationRequest(**named))).lines[0].sku == "PROMISED"
        shown = orders.CreateOrderRequest(lines=[line("PROMISED", shown_unit_price=money("10.00"))], **named)
        refusal = await refused(by.orders.CreateOrder(shown))
        assert refusal.reason == "PRICE_CHANGED"
        assert "12.34" not in str(refusal.status), "the price may be a draft's"
        other = inventory.ReleaseReservationRequest(reservation_id=held[1].reservation_id)
        await by.inventory.ReleaseReservation(other)
        bought = await by.orders.CreateOrder(orders.CreateOrderRequest(**named))
        assert (await by.orders.GetOrder(orders.GetOrderRequest(order_id=bought.order_id))).lines[0].sku == "PROMISED"
        edit.product.variants[0].price.CopyFrom(money("10.00"))
        await shop.pms.catalog.UpdateProduct(edit)
