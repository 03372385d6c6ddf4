"""What products are found by, as it is stored beside them."""

from __future__ import annotations

from collections.abc import Callable, Set
from typing import Any
from zlib import crc32

from stockward_server.domain.product import Product
from stockward_server.domain.search import SearchDocument
from stockward_server.storage.statement import array_literal

# `english` finds words in all their forms; `simple` finds them by their beginnings, and stop words, which `english`
# does not know. A lexeme that no query has keeps the parts apart, so that no phrase is found across them.
_WORDS = " || $$' ':10$$::tsvector || ".join(
    f"to_tsvector('{dictionary}', {words})" for words in ("$4", "$5", "$6") for dictionary in ("simple", "english")
)


MAX_PAIRS = 400
"""Pairs of a product that are kept: those with more have their vectors looked at."""

INDEX_PRODUCT = f"""
    INSERT INTO product_search (product_id, create_time, title_key, search, pairs)
    VALUES ($1, $2, $3, {_WORDS} || array_to_tsvector($7::text::text[]), $8)
    ON CONFLICT (product_id)
    DO UPDATE SET title_key = EXCLUDED.title_key, search = EXCLUDED.search, pairs = EXCLUDED.pairs
"""
"""Stores the row of the index of a product, which is an `index_row`."""


def index_row(product: Product, document: SearchDocument) -> tuple[Any, ...]:
    """Returns the values of INDEX_PRODUCT; the document is of the same version of the product."""
    return (
        product.product_id,
        product.create_time,
        document.title_key,
        document.title_words,
        document.name_words,
        document.description_words,
        array_literal(document.marks),
        pair_filter(document.pairs) + bytes([product.version % 256]),  # see migration 0022
    )


def pair_filter(pairs: Set[str]) -> bytes:
    """Returns a Bloom filter with a byte for each pair, which one of nine other pairs seems to be in."""
    if len(pairs) > MAX_PAIRS:
        return b"\xff"
    found = bytearray(len(pairs) or 1)
    for pair in pairs:
        byte, bit = divmod(crc32(pair.encode()) % (8 * len(found)), 8)
        found[byte] |= 1 << bit
    return bytes(found)


def may_have_pair(pair: str, bind: Callable[[Any], str]) -> str:
    """Returns the condition that a row of `product_search s` does not rule out a pair."""
    number = f"{bind(crc32(pair.encode()))}::bigint"
    return f"coalesce(get_bit(s.pairs, {number} % (8 * (length(s.pairs) - 1))), 1) = 1"
