"""Lists of products: filters, search and pages."""

from __future__ import annotations

from typing import Any

from stockward.catalog.v1 import catalog_pb2 as pb

from stockward_server.domain.folding import title_key
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


async def found(pms: Callers, *searches: str) -> dict[str, set[str]]:
    """Titles that each search finds."""
    return {search: set(await listed(pms, search=search)) for search in searches}


async def test_search(pms: Callers) -> None:
    await create(pms, "Trail shoe", "TS-42/B", vendor="Acme", tags=["waterproof"], description="Runs far.")
    await create(pms, "Road shoe", "RS-42", product_type="Footwear", description="For <strong>running</strong>.")
    await create(pms, "Kettle", "KETTLE", description="Ein Kessel für Tee, the -5 kind")
    wanted = {
        "running": {"Trail shoe", "Road shoe"},  # `runs` and `running` are forms of one word
        "SHOE": {"Trail shoe", "Road shoe"},
        "trail shoes": {"Trail shoe"},
        "shoe trail": {"Trail shoe"},
        '"road shoe"': {"Road shoe"},
        '"shoe road"': set(),
        '"shoe RS"': set(),  # the end of one field and the beginning of another
        "trail or kettle": {"Trail shoe", "Kettle"},
        "shoe -trail": {"Road shoe"},
        "shoe -running": set(),
        "shoe -trai": {"Trail shoe", "Road shoe"},  # what is left out is left out by whole words
        "TS-42/B": {"Trail shoe"},
        "rs-42": {"Road shoe"},
        "TS-43": set(),
        "acme": {"Trail shoe"},
        "footwear": {"Road shoe"},
        "waterproof": {"Trail shoe"},
        "Kessel": {"Kettle"},
        "the": {"Kettle"},  # a stop word of English, but a word
        "the kettle": {"Kettle"},
        "strong": set(),  # markup is not text
        "!!!": set(),
        "' & | :* <->": set(),
        "%": set(),
        "_": set(),
        "\\": set(),
        "trail\\": {"Trail shoe"},
        "x" * 500: set(),
        "øßﷺ" * 166: set(),
        "   ": {"Trail shoe", "Road shoe", "Kettle"},  # nothing is asked for
    }
    assert await found(pms, *wanted) == wanted


async def test_a_product_is_found_by_any_part_of_what_it_is_called(pms: Callers) -> None:
    await create(
        pms, "Café au lait bracelet", "KT-INS114-DRE", vendor="Łódź & Söhne", product_type="Jewellery", tags=["Straße"]
    )
    red = pb.Variant(sku="RED-1", title="Rot", price=money("9"), barcode="4006381333931", options={"Colour": "Crimson"})
    product = (await create(pms, "Marker", "BLUE-1")).product_id
    await update(pms, await pms.catalog.GetProduct(pb.GetProductRequest(product_id=product)), variants=[red])
    bracelet, marker = {"Café au lait bracelet"}, {"Marker"}
    wanted = {
        **dict.fromkeys(
            ("cafe", "CAFÉ", "Café", "caf", "ca", "af", "ＣＡＦＥ", "brac", "racel", "acelet", "bracelets"), bracelet
        ),
        **dict.fromkeys(
            ("KT-INS114", "kt-ins", "INS114", "114-dre", "ktins114", "s114", "lait kt", "brac cafe"), bracelet
        ),
        **dict.fromkeys(("lodz", "łódź", "sohne", "jewel", "strasse", "STRASSE", "strass", "cafe-au-lait"), bracelet),
        **dict.fromkeys(("4006381333931", "400638", "33931", "63813", "４００６３８", "٤٠٠٦", "rot", "crims"), marker),
        "brac ark": set(),
        "bra or ark": bracelet | marker,
        "brac -cafe": set(),
        "racx": set(),
        "cafebrac": set(),  # across a blank
        "elebrac": set(),  # has marks of the bracelet only, in another order
    }
    assert await found(pms, *wanted) == wanted


async def test_search_in_every_script(pms: Callers) -> None:
    titles = [
        *("日本語の本", "ガムの箱", "한국어 교과서", "Чайник Ёлка", "كِتاب عربي", "Καφές ΣΟΦΟΣ"),
        *("กาแฟเย็น", "סֵפֶר", "हिन्दी किताब", "İstanbul kılıf"),
    ]
    for title in titles:
        await create(pms, title)
    await create(pms, "Plain", description="<p>この本棚は木製です。</p>")
    japanese, gum, korean, russian, arabic, greek, thai, hebrew, hindi, turkish = titles
    wanted = {
        **{key: {japanese} for key in ("日本語", "日本", "語の", "語", "日本語の本")},
        "本": {japanese, "Plain"},
        "本 -日本語": {"Plain"},
        **{key: {"Plain"} for key in ("木製", "本棚は木製", "本棚 木製")},
        **{key: {gum} for key in ("ガム", "ｶﾞﾑ")},
        "カム": set(),
        **{key: {korean} for key in ("한국", "한국어", "하", "교과", "과서")},
        **{key: {russian} for key in ("чайн", "ЧАЙНИК", "елка", "ЁЛКА", "айни")},
        **{key: {arabic} for key in ("كتاب", "عربی", "تاب")},
        **{key: {greek} for key in ("καφες", "ΚΑΦΕΣ", "σοφοσ")},
        **{key: {thai} for key in ("กาแฟ", "เย็น")},
        "ספר": {hebrew},
        "किता": {hindi},
        **{key: {turkish} for key in ("istanbul", "ISTANBUL", "İSTANBUL", "kilif", "KILIF")},
    }
    assert await found(pms, *wanted) == wanted


async def test_a_search_lists_what_is_called_so_first(pms: Callers) -> None:
    for number in range(12, 0, -1):
        await create(pms, f"Tee {number}", f"TEE-{number}")
    await create(pms, "Cap", "CAP", description="Goes with a tee.")
    await create(pms, "Tee", "SHIRT")
    assert (await listed(pms, search="TEE-1"))[:5] == ["Tee 1", "Tee 10", "Tee 11", "Tee 12"]
    assert await listed(pms, search="tee") == ["Tee", *(f"Tee {number}" for number in range(1, 13)), "Cap"]
    assert (await listed(pms, search="tee", order_by="relevance"))[0] == "Tee"
    assert (await listed(pms, search="tee", order_by="create_time desc"))[:2] == ["Tee", "Cap"]
    assert (await listed(pms, search="tee", order_by="title"))[:3] == ["Cap", "Tee", "Tee 1"]
    assert await listed(pms, order_by="relevance") == await listed(pms)


async def test_pages_of_a_search_are_those_of_the_whole_list(pms: Callers) -> None:
    for number in range(7):
        await create(pms, f"Tee {number}", f"A-{number}")
        await create(pms, f"Cap {number}", f"TEE-{number}")
    await create(pms, "Hat", "TEE")
    await create(pms, "tee", "T-1")
    for order_by in ("", "relevance", "title", "title desc", "update_time"):
        whole = await listed(pms, search="tee", order_by=order_by)
        assert len(whole) == 16
        for size in (1, 2, 3, 15, 16):
            request = pb.ListProductsRequest(page_size=size, search="tee", order_by=order_by)
            pages: list[str] = []
            while not pages or request.page_token:
                answer = await pms.catalog.ListProducts(request)
                pages += [product.title for product in answer.products]
                request.page_token = answer.next_page_token
            assert pages == whole, (order_by, size)


async def test_a_product_is_found_by_its_handle_or_a_sku_to_the_letter(pms: Callers, storefront: Callers) -> None:
    tee = await create(pms, "Tee", "TEE")
    await create(pms, "Tee", "TEE-L")
    await step(pms, "Publish", tee)
    assert [product.sku for each in await found_by(pms, handle="tee-2") for product in each.variants] == ["TEE-L"]
    assert [each.handle for each in await found_by(pms, sku="TEE-L")] == ["tee-2"]
    for nothing in ({"handle": "te"}, {"sku": "tee"}, {"handle": "tee", "sku": "TEE-L"}, {"sku": "'; --"}):
        assert not await found_by(pms, **nothing)

    for seen in (pb.ListAvailableProductsRequest(handle="tee"), pb.ListAvailableProductsRequest(sku="TEE")):
        answer = await storefront.catalog.ListAvailableProducts(seen)
        assert [each.product_id for each in answer.products] == [tee.product_id]
    for hidden in (
        pb.ListAvailableProductsRequest(handle="tee-2"),
        pb.ListAvailableProductsRequest(sku="TEE-L"),
        pb.ListAvailableProductsRequest(search="TEE-L"),
    ):
        answer = await storefront.catalog.ListAvailableProducts(hidden)
        assert not answer.products


async def found_by(pms: Callers, **fields: Any) -> list[pb.Product]:
    return list((await pms.catalog.ListProducts(pb.ListProductsRequest(**fields))).products)


async def test_titles_come_in_the_order_that_people_expect(pms: Callers) -> None:
    ordered = [
        *("1.25 l", "1.5 l", "9 mugs", "10 mugs", "apple", "Apple", "apple pie", "äpfel", "Äpfel", "Éclair", "Zebra"),
        *("αβγ", "ирис", "йод", "日本語の本", "\U0001d306" * 300, "\U0001d307" * 300),
    ]
    for title in reversed(ordered):
        await create(pms, title)
    assert await listed(pms, order_by="title") == ordered
    assert await listed(pms, order_by="title desc") == ordered[::-1]


async def test_search_follows_an_edit(pms: Callers) -> None:
    product = await create(pms, "Kettle", "K-1")
    await update(pms, product, title="Teapot", handle="teapot", variants=[pb.Variant(sku="T-1", price=money("5"))])
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
                products,
                key=lambda p: (title_key(p.title) if key == "title" else getattr(p, key).ToNanoseconds(), p.product_id),
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
