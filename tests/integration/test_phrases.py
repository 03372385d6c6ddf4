"""Phrases: what is stored so that most products without one need not be read."""

from __future__ import annotations

import asyncio
from string import ascii_lowercase

from hypothesis import given
from hypothesis import strategies as st

from stockward_server.application.ports.catalog import ProductSort
from stockward_server.domain.search import search_query, word_pairs
from stockward_server.storage.database import Pool
from stockward_server.storage.search_index import MAX_PAIRS, pair_filter
from stockward_server.storage.write.search_refresh import refresh_search
from tests.events import until
from tests.products import create, get, step, update
from tests.searching import IN_SHORT, listed, product, stocked, store, titles
from tests.shop import Callers, Shop

PHRASES = st.lists(st.sampled_from("red shirts shirt die dying of the a 12 5mm oed oing 日本 é".split()), min_size=1)  # noqa: SIM905


@IN_SHORT
@given(st.lists(st.tuples(PHRASES, PHRASES), min_size=1, max_size=20), PHRASES)
def test_a_phrase_finds_what_has_its_words_in_a_row(
    database_url: str, texts: list[tuple[list[str], list[str]]], phrase: list[str]
) -> None:
    async def check() -> None:
        products = [product(" ".join(title), description=" ".join(description)) for title, description in texts]
        async with stocked(database_url, *products) as pool:
            text = " ".join(search_query(f'"{" ".join(phrase)}"').alternatives[0][0].words)
            dictionary = "simple" if not set(phrase) - {"of", "the", "a"} else "english"
            expected = await pool.fetch(
                f"SELECT product_id::text FROM product_search WHERE search @@ phraseto_tsquery('{dictionary}', $1)",
                text,
            )
            for sort in (ProductSort.RELEVANCE, ProductSort.TITLE):
                found = [each.product_id for each in await listed(pool, f'"{" ".join(phrase)}"', sort)]
                assert set(found) == {row["product_id"] for row in expected}

    if len(phrase) > 1:
        asyncio.run(check())


async def test_a_phrase_is_found_behind_many_that_have_its_words_apart(database: Pool) -> None:
    async with database.acquire() as connection:
        await store(connection, product("cotton wool"), *(product(f"cotton {n} wool") for n in range(30)))
    for sort in ProductSort:
        assert [each.title for each in await listed(database, '"cotton wool"', sort, 2)] == ["cotton wool"]


async def test_words_with_one_english_form_begin_alike(database: Pool) -> None:
    endings = "s es ed ing ies ied ying ly edly ingly ness ational y er est ful sses eed us ss ogi e l".split()  # noqa: SIM905
    starts = [first + second for first in ascii_lowercase for second in ("", *ascii_lowercase)]
    words = ["skis", "skies", "dying", "idly", "only", *(start + ending for start in starts for ending in endings)]
    for row in await database.fetch(
        "SELECT word, ts_lexize('english_stem', word) AS forms FROM unnest($1::text[]) word", words
    ):
        for form in row["forms"]:
            assert word_pairs(f"{row['word']} x") == word_pairs(f"{form} x"), row


async def test_a_phrase_is_found_where_the_release_before_wrote_its_words(shop: Shop, pms: Callers) -> None:
    """It stores another vector and leaves the pairs of words as they are."""
    await create(pms, "Blue tee", "TEE")
    await shop.pool.execute(
        """
        INSERT INTO product_search (product_id, create_time, title_key, search)
        SELECT product_id, create_time, '', to_tsvector('english', 'red shirt') FROM products
        ON CONFLICT (product_id) DO UPDATE SET title_key = EXCLUDED.title_key, search = EXCLUDED.search
        """
    )
    for sort in ProductSort:
        assert [each.title for each in await listed(shop.pool, '"red shirt"', sort)] == ["Blue tee"]


async def test_rows_of_the_release_before_are_given_pairs(shop: Shop, pms: Callers) -> None:
    tee = await create(pms, "Blue tee", "TEE")
    await shop.pool.execute("UPDATE product_search SET pairs = NULL")
    assert await titles(shop.pool, '"blue tee"') == ["Blue tee"]
    await until(lambda: has_pairs(shop.pool))
    assert await refresh_search(shop.pool) == 0
    await step(pms, "Publish", tee)
    assert await titles(shop.pool, '"blue tee"') == ["Blue tee"]
    await update(pms, await get(pms, tee), title="Blue tea 2")
    assert not await shop.pool.fetchval(WITHOUT_PAIRS), (
        "other words with the same pairs do not pass for an old server's"
    )


WITHOUT_PAIRS = "SELECT count(*) FROM product_search WHERE pairs IS NULL"


async def has_pairs(pool: Pool) -> bool:
    await refresh_search(pool)
    return not await pool.fetchval(WITHOUT_PAIRS)


async def test_vectors_are_out_of_line_however_short_they_are(database: Pool) -> None:
    async with database.acquire() as connection:
        await store(connection, product("Tee"), product("Tee", description="cotton wool " * 500))
    rows = await database.fetch("SELECT pg_column_toast_chunk_id(search) AS chunk FROM product_search")
    assert all(row["chunk"] for row in rows)


def test_a_filter_has_its_pairs_and_few_others() -> None:
    pairs = {f"pa{number}" for number in range(100)}
    found = pair_filter(pairs)
    bits = {at for at in range(8 * len(found)) if found[at // 8] >> at % 8 & 1}
    assert len(bits) <= len(pairs) < 0.15 * 8 * len(found)
    assert pair_filter({f"{number}" for number in range(MAX_PAIRS + 1)}) == b"\xff"
