"""The search index of products: the row that is stored beside each product."""

from __future__ import annotations

from collections.abc import Callable, Set
from typing import Any
from zlib import crc32

from stockward_server.domain.product import Product
from stockward_server.domain.search import SearchDocument
from stockward_server.storage.statement import array_literal

# `english` finds words in all their forms; `simple` finds prefixes, and stop words, which `english` drops. A lexeme
# that no query has separates the parts, so that no phrase matches across them.
_WORDS = " || $$' ':10$$::tsvector || ".join(
    f"to_tsvector('{dictionary}', {words})" for words in ("$4", "$5", "$6") for dictionary in ("simple", "english")
)


MAX_PAIRS = 400
"""Maximum number of pairs stored for a product; with more, its vector is read instead."""

INDEX_PRODUCT = f"""
    INSERT INTO product_search (product_id, create_time, title_key, search, pairs)
    VALUES ($1, $2, $3, {_WORDS} || array_to_tsvector($7::text::text[]), $8)
    ON CONFLICT (product_id)
    DO UPDATE SET title_key = EXCLUDED.title_key, search = EXCLUDED.search, pairs = EXCLUDED.pairs
"""
"""Stores an `index_row` of a product."""


def index_row(product: Product, document: SearchDocument) -> tuple[Any, ...]:
    """Returns the values of INDEX_PRODUCT; the document must belong to the same version of the product."""
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
    """Returns a Bloom filter with one byte for each pair; its rate of false positives is one in nine."""
    if len(pairs) > MAX_PAIRS:
        return b"\xff"
    found = bytearray(len(pairs) or 1)
    for pair in pairs:
        byte, bit = divmod(crc32(pair.encode()) % (8 * len(found)), 8)
        found[byte] |= 1 << bit
    return bytes(found)


def may_have_pair(pair: str, bind: Callable[[Any], str]) -> str:
    """Returns the condition that a row of `product_search s` may have a pair."""
    number = f"{bind(crc32(pair.encode()))}::bigint"
    return f"coalesce(get_bit(s.pairs, {number} % (8 * (length(s.pairs) - 1))), 1) = 1"
