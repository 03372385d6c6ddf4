"""Lists of products: filters, search and pages."""

from __future__ import annotations

from typing import Any

from stockward.catalog.v1 import catalog_pb2 as pb

from tests.products import Code, State, create, get, step, update
from tests.shop import Callers, money, refused


async def listed(pms: Callers, **fields: Any) -> list[str]:
    """Titles in the order of the list."""
    answer = await pms.catalog.ListProducts(pb.ListProductsRequest(**fields))
    assert not answer.next_page_token
    return [product.title for product in answer.products]


async def test_filters_must_all_match(pms: Callers) -> None:
    await create(pms, "A", vendor="Acme", product_type="Shirt", tags=["red", "new"])
    await create(pms, "B", vendor="Acme", product_type="Shoe", tags=["red"])
    await create(pms, "C", vendor="acme", product_type="Shirt", tags=["red-ish"])
    await step(pms, "Archive", await create(pms, "D", vendor="Acme"))
    await step(pms, "Publish", await create(pms, "E", "SKU-E"))

    assert await listed(pms) == ["E", "C", "B", "A"]
    assert await listed(pms, vendor="Acme") == ["B", "A"]
    assert await listed(pms, product_type="Shirt") == ["C", "A"]
    assert await listed(pms, tag="red") == ["B", "A"]
    assert await listed(pms, vendor="Acme", product_type="Shirt", tag="new") == ["A"]
    assert await listed(pms, vendor="Acme", tag="red-ish") == []
    assert await listed(pms, states=[State.STATE_ARCHIVED]) == ["D"]
    assert await listed(pms, states=[State.STATE_ARCHIVED, State.STATE_PUBLISHED]) == ["E", "D"]


async def test_search(pms: Callers) -> None:
    await create(pms, "Trail shoe", "TS-42/B", vendor="Acme", tags=["waterproof"], description="Runs far.")
    await create(pms, "Road shoe", "RS-42", product_type="Footwear", description="For <strong>running</strong>.")
    await create(pms, "Kettle", "KETTLE", description="Ein Kessel für Tee, the -5 kind")
    wanted = {
        "running": {"Trail shoe", "Road shoe"},  # `runs` and `running` are forms of one word
        "SHOE": {"Trail shoe", "Road shoe"},
        "trail shoes": {"Trail shoe"},
        '"road shoe"': {"Road shoe"},
        '"shoe road"': set(),
        '"shoe RS"': set(),  # the end of one field and the beginning of another
        "trail or kettle": {"Trail shoe", "Kettle"},
        "shoe -trail": {"Road shoe"},
        "shoe -running": set(),
        "TS-42/B": {"Trail shoe"},
        "rs-42": {"Road shoe"},
        "TS-43": set(),
        "acme": {"Trail shoe"},
        "footwear": {"Road shoe"},
        "waterproof": {"Trail shoe"},
        "Kessel": {"Kettle"},
        "the": {"Kettle"},  # a stop word of English, but a word
        "strong": set(),  # markup is not text
        "!!!": set(),
        "' & | :* <->": set(),
    }
    assert {search: set(await listed(pms, search=search)) for search in wanted} == wanted


async def test_search_follows_an_edit(pms: Callers) -> None:
    product = await create(pms, "Kettle", "K-1")
    await update(pms, product, title="Teapot", variants=[pb.Variant(sku="T-1", price=money("5"))])
    assert await listed(pms, search="kettle or K-1") == []
    assert await listed(pms, search="teapot T-1") == ["Teapot"]


async def test_pages_are_stable_while_products_come(pms: Callers) -> None:
    products = [await create(pms, title) for title in ("b", "a", "C", "b", "ä", "a")]
    await update(pms, products[2], vendor="touched again")
    products[2] = await get(pms, products[2])
    known = {product.product_id for product in products}
    for key in ("create_time", "update_time", "title"):
        for direction in ("", " desc"):
            wanted = sorted(
                products,  # titles by code point: C a a b b ä
                key=lambda p: (p.title if key == "title" else getattr(p, key).ToNanoseconds(), p.product_id),
                reverse=bool(direction),
            )
            request = pb.ListProductsRequest(page_size=2, order_by=key + direction)
            seen: list[str] = []
            while not seen or request.page_token:
                answer = await pms.catalog.ListProducts(request)
                seen += [product.product_id for product in answer.products]
                request.page_token = answer.next_page_token
                if len(seen) < 7:
                    await create(pms, "A")
                    await create(pms, "z")
            assert len(seen) == len(set(seen))
            assert [each for each in seen if each in known] == [product.product_id for product in wanted], request


async def test_the_last_page_says_so_even_when_it_is_full(pms: Callers) -> None:
    for number in range(4):
        await create(pms, f"{number}")
    first = await pms.catalog.ListProducts(pb.ListProductsRequest(page_size=2))
    last = await pms.catalog.ListProducts(pb.ListProductsRequest(page_size=2, page_token=first.next_page_token))
    assert [product.title for product in last.products] == ["1", "0"]
    assert last.next_page_token == ""


async def test_a_page_token_is_bound_to_its_arguments(pms: Callers) -> None:
    for number in range(2):
        await create(pms, f"{number}", vendor="Acme")
    first = await pms.catalog.ListProducts(pb.ListProductsRequest(page_size=1, vendor="Acme"))
    for request in (
        pb.ListProductsRequest(page_token=first.next_page_token),
        pb.ListProductsRequest(page_token=first.next_page_token, vendor="Acme", order_by="title"),
        pb.ListAvailableProductsRequest(page_token=first.next_page_token, vendor="Acme"),
        pb.ListProductsRequest(page_token="nonsense"),
    ):
        method = "ListProducts" if isinstance(request, pb.ListProductsRequest) else "ListAvailableProducts"
        refusal = await refused(getattr(pms.catalog, method)(request))
        assert (refusal.code, refusal.reason) == (Code.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")
