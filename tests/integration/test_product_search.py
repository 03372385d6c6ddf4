"""What is stored of products for searching: by every writer, in every database, whatever the texts are."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stockward.catalog.v1 import catalog_pb2 as pb

from stockward_dev import Postgres
from stockward_server.application.ports.catalog import ProductSort
from stockward_server.bootstrap.database import migrate
from stockward_server.config import Settings
from stockward_server.domain.folding import fold, title_key, trim
from stockward_server.domain.search import rank, search_query
from stockward_server.storage import database as storage
from stockward_server.storage.database import MIGRATIONS, Pool
from stockward_server.storage.read import product_lists
from stockward_server.storage.write.search_refresh import refresh_search
from tests.events import until
from tests.products import create, get, step, update
from tests.searching import IN_SHORT, listed, product, stocked, store, titles
from tests.shop import Callers, Shop, money

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40)

OLD_PRODUCT = """
    INSERT INTO products (product_id, handle, title, description, vendor, product_type, tags, images, attributes, state,
                          create_time, update_time, version, search)
    VALUES (gen_random_uuid(), $1, $1, '', '', '', '{}', '[]', '{}', 2, now(), now(), 1, to_tsvector('english', $1))
"""
"""As a server of an earlier release writes it."""

OLD_EDIT = """
    UPDATE products SET title = $2, version = version + 1, search = to_tsvector('english', $2) WHERE handle = $1
"""


@IN_SHORT
@given(st.lists(TEXTS, min_size=1, max_size=20), st.data())
def test_any_part_of_a_word_finds_it(database_url: str, texts: list[str], data: st.DataObject) -> None:
    async def check() -> None:
        async with stocked(database_url, *map(product, texts)) as pool:
            for text in texts:
                for chunk in filter(None, map(trim, fold(text).split())):
                    start = data.draw(st.integers(0, len(chunk) - 1))
                    part = trim(chunk[start : data.draw(st.integers(start + 1, len(chunk)))])
                    if part and part != "or" and '"' not in part:
                        assert text in await titles(pool, part), part
                assert text.strip() in [each.strip() for each in await titles(pool, text)] or not fold(text).strip()

    asyncio.run(check())


@IN_SHORT
@given(
    st.lists(st.text("ab -ä'\"o\\r%", max_size=12), min_size=1, max_size=20),
    st.text("ab -ä'\"o\\r%", max_size=20),
    st.sampled_from((3, 1000)),
)
def test_ranks_are_what_the_database_makes_of_them_and_lose_nothing(
    database_url: str, texts: list[str], search: str, page_size: int
) -> None:
    """A page goes on from the rank of its last product, which is computed here."""

    async def check() -> None:
        async with stocked(database_url, *(product(f"{text}.", f"s{n}") for n, text in enumerate(texts))) as pool:
            found = await listed(pool, search, page_size=page_size)
            ranks = [rank(each, search_query(search)) for each in found]
            assert ranks == sorted(ranks)
            ids = [each.product_id for each in found]
            assert len(ids) == len(set(ids))
            assert set(ids) == {each.product_id for each in await listed(pool, search, ProductSort.TITLE)}

    if search.strip():
        asyncio.run(check())


@IN_SHORT
@given(st.lists(TEXTS, min_size=2, max_size=50))
def test_the_database_sorts_titles_as_their_keys_do(database_url: str, texts: list[str]) -> None:
    async def check() -> list[str]:
        async with stocked(database_url, *map(product, texts)) as pool:
            rows = await pool.fetch("SELECT title FROM products ORDER BY title_key, product_id")
            return [row["title"] for row in rows]

    assert list(map(title_key, asyncio.run(check()))) == sorted(map(title_key, texts))


SEARCHES = [
    *("te", "red tee", "-red", '"red tee" or 日', '-"red tee"', "tee -日本", "tee-1", "cott", "ap red", "nothing"),
]


@pytest.mark.parametrize("sort", [ProductSort.RELEVANCE, ProductSort.TITLE, ProductSort.UPDATE_TIME])
async def test_a_page_is_the_same_whatever_part_of_the_list_it_comes_from(
    database: Pool, monkeypatch: pytest.MonkeyPatch, sort: ProductSort
) -> None:
    """What is found may be many or few, new or old, indexed or written by a server of an earlier release."""
    colours = ["red", "blue", "日本語"]
    products = [
        product(f"{colours[n % 3]} {'tee' if n > 50 else 'cap'} {n}", f"TEE-{n}", description="cotton " * (n % 20 == 0))
        for n in range(110)
    ]
    async with database.acquire() as connection:
        await store(connection, *products)
        for n in range(5):
            await connection.execute(OLD_PRODUCT, f"red tee old {n}")
            keys = title_key(f"red tee old {n}"), f"red tee old {n}"
            await connection.execute("UPDATE products SET title_key = $1 WHERE title = $2", *keys)
        await connection.execute("UPDATE products SET update_time = create_time - interval '1 hour' WHERE version = 1")
        await connection.execute("ANALYZE products, product_search")
    for search in SEARCHES:
        found = []
        for at_once, spread, page_size in ((1_000_000, 0.1, 40), (2, 1.5, 40), (0, 1.5, 1000)):
            monkeypatch.setattr(product_lists, "LISTED_AT_ONCE", at_once)  # from small parts; as usual; from all of it
            monkeypatch.setattr(product_lists, "SPREAD", spread)
            found.append([each.product_id for each in await listed(database, search, sort, page_size)])
        assert found[0] == found[1] == found[2], search
        assert bool(found[0]) is (search != "nothing")


async def test_an_edit_that_changes_nothing_to_find_leaves_the_index_alone(shop: Shop, pms: Callers) -> None:
    tee = await create(pms, "Tee", "TEE")
    written = "SELECT xmin::text, ctid::text FROM product_search"
    before = await shop.pool.fetch(written)
    tee = await step(pms, "Publish", tee)
    variant = pb.Variant(sku="TEE", price=money("5"), options={"Size": "TEE"}, weight_grams=5)
    await update(pms, tee, variants=[variant], attributes={"a": "b"})
    assert await shop.pool.fetch(written) == before
    assert await refresh_search(shop.pool) == 0
    await update(pms, tee, title="Shirt")
    assert await shop.pool.fetch(written) != before
    assert await titles(shop.pool, "shi") == ["Shirt"]


async def test_the_greatest_product_is_stored_and_found(database: Pool) -> None:
    """2,048 variants and 50,000 characters of four bytes, no two words the same."""
    skus = [f"{number:04}{chr(0x20000 + number) * 60}" for number in range(2_048)]
    words = " ".join(chr(0x20000 + n) for n in range(25_000))
    large = product("\U0001d306ﷺ" * 150, *skus, description=words, barcode="ﷺ" * 64)
    async with database.acquire() as connection:
        await store(connection, large)
    for search in (skus[0], skus[0][:4], chr(0x20000), "x" * 500):
        assert len(await titles(database, search)) == (search[0] != "x")


async def test_what_an_earlier_release_writes_is_found_soon(shop: Shop, pms: Callers) -> None:
    """It writes neither parts nor keys; the servers of this release see to that. So does the one at work here, once a
    minute: what is waited for may be there already."""

    async def are_found(text: str, expected: str) -> bool:
        await refresh_search(shop.pool)
        return await titles(shop.pool, text) == [expected]

    await shop.pool.execute(OLD_PRODUCT, "kettle")
    mug = await create(pms, "Mug", "MUG-12")
    assert await titles(shop.pool, "kettle") == ["kettle"], "by its words at once"
    await until(lambda: are_found("ettl", "kettle"))

    await shop.pool.execute(OLD_EDIT, "mug", "Äpfel")
    await step(pms, "Publish", await get(pms, mug))
    await until(lambda: are_found("apf ug-1", "Äpfel"))  # publishing does not hide that it is to be done
    answer = await pms.catalog.ListProducts(pb.ListProductsRequest(order_by="title"))
    assert [each.title for each in answer.products] == ["Äpfel", "kettle"]

    await update(pms, await get(pms, mug), title="Cup")
    await step(pms, "Unpublish", await get(pms, mug))
    assert await refresh_search(shop.pool) == 0


async def test_what_a_server_with_an_index_of_its_own_writes_is_found(shop: Shop, pms: Callers) -> None:
    """The release before this one kept it in the products."""
    tee = await create(pms, "Tee", "TEE", vendor="Acme")
    await shop.pool.execute(
        """
        UPDATE products SET title = 'Cup', version = version + 1, searched_version = version + 1, search_parts = 'cup',
            search = to_tsvector('simple', 'cup') || array_to_tsvector('{=cup,^cup,~cup}'), title_key = $1
        """,
        title_key("Cup"),
    )
    for sort in ProductSort:
        assert [each.title for each in await listed(shop.pool, "cu", sort)] == ["Cup"]
        assert await listed(shop.pool, "acme", sort) == []
    variant = pb.Variant(sku="TEE", price=money("5"), options={"Size": "TEE"})
    await update(pms, await get(pms, tee), variants=[variant])
    wrong = """
        SELECT FROM products JOIN product_search s USING (product_id)
        WHERE indexed_version = version AND NOT s.search @@ '^cup'
    """
    assert await shop.pool.fetch(wrong) == [], "an edit of something else does not say that it is indexed"
    await until(lambda: refreshed_titles(shop.pool, "up", "cu"))


async def refreshed_titles(pool: Pool, *searches: str) -> bool:
    await refresh_search(pool)
    return all([await titles(pool, search) == ["Cup"] for search in searches])


async def test_a_product_that_somebody_changes_is_refreshed_later(database: Pool) -> None:
    await database.execute(OLD_PRODUCT, "kettle")
    await database.execute(OLD_PRODUCT, "teapot")
    async with storage.transaction(database) as edit:
        await edit.execute("SELECT FROM products WHERE handle = 'kettle' FOR NO KEY UPDATE")
        assert await asyncio.wait_for(refresh_search(database), 10) == 1
    assert await titles(database, "eapo") == ["teapot"]
    assert await refresh_search(database) == 1
    assert await titles(database, "ettl") == ["kettle"]


async def test_migrate_brings_products_of_an_earlier_release_up_to_date(
    postgres: Postgres, tmp_path: Path, settings: Settings
) -> None:
    url = await postgres.create_database("before_search")
    for path in MIGRATIONS.glob("*.sql"):
        if path.stem < "0009":
            shutil.copy(path, tmp_path)
    await storage.migrate(url, tmp_path)
    pool = await storage.open_pool(url, 1)
    try:
        names = [f"Zebra {number}" for number in range(250)] + ["apple", "Äpfel"]
        await pool.executemany(OLD_PRODUCT, [(name,) for name in names])
        applied = await migrate(settings.model_copy(update={"database_url": type(settings.database_url)(url)}))
        assert "0011_search" in applied
        assert set(await titles(pool, "ebra 24")) == {name for name in names if "24" in name}
        rows = await pool.fetch("SELECT title FROM products ORDER BY title_key LIMIT 4")
        assert [row["title"] for row in rows] == ["apple", "Äpfel", "Zebra 0", "Zebra 1"]
    finally:
        await pool.close()
        await postgres.drop_database("before_search")


async def test_the_locale_of_the_database_changes_nothing(postgres: Postgres, database: Pool) -> None:
    server = await asyncpg.connect(postgres.url())
    await server.execute("CREATE DATABASE locale_c TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER libc LOCALE 'C'")
    await server.close()
    await storage.migrate(postgres.url("locale_c"))
    other = await storage.open_pool(postgres.url("locale_c"), 1)
    names = [
        *("Café bracelet", "日本語の本", "한국어 교과서", "Чайник Ёлка", "İSTANBUL Straße", "हिन्दी किताब"),
        *("apple", "Äpfel", "Zebra"),
    ]
    searches = [
        *("CAFÉ", "brac", "日本語", "語", "하", "ёлк", "STRASSE", "istan", "किता", "हिन्दी", "straße", "Äpf", "e"),
        *("-apple", '"istanbul strasse"'),
    ]
    try:
        for pool in (database, other):
            async with pool.acquire() as connection:
                await store(connection, *map(product, names))
        found = [{search: sorted(await titles(pool, search)) for search in searches} for pool in (database, other)]
        assert found[0] == found[1]
        assert all(found[0].values())
        keys = "SELECT title FROM products ORDER BY title_key"
        assert await other.fetch(keys) == await database.fetch(keys)
    finally:
        await other.close()
        await postgres.drop_database("locale_c")
