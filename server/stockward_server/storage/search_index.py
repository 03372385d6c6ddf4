"""What products are found by, as it is stored beside them."""

from __future__ import annotations

from typing import Any

from stockward_server.domain.product import Product
from stockward_server.domain.search import SearchDocument
from stockward_server.storage.statement import array_literal

# `english` finds words in all their forms; `simple` finds them by their beginnings, and stop words, which `english`
# does not know. A lexeme that no query has keeps the parts apart, so that no phrase is found across them.
_WORDS = " || $$' ':10$$::tsvector || ".join(
    f"to_tsvector('{dictionary}', {words})" for words in ("$4", "$5", "$6") for dictionary in ("simple", "english")
)


INDEX_PRODUCT = f"""
    INSERT INTO product_search (product_id, create_time, title_key, search)
    VALUES ($1, $2, $3, {_WORDS} || array_to_tsvector($7::text::text[]))
    ON CONFLICT (product_id) DO UPDATE SET title_key = EXCLUDED.title_key, search = EXCLUDED.search
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
    )
