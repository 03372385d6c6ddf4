"""What a search looks at, and how a query is read."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockward_server.domain.money import Money
from stockward_server.domain.product import Image, Product, ProductState, Variant
from stockward_server.domain.search import (
    MARK_BYTES,
    NAME_BYTES,
    Rank,
    Term,
    rank,
    search_document,
    search_query,
    searched,
    word_pairs,
)

NOW = datetime(2026, 11, 30, tzinfo=UTC)


def product(title: str, *skus: str, **fields: Any) -> Product:
    variants = tuple(Variant(sku, Money("EUR", 100)) for sku in skus)
    return Product("id", fields.pop("handle", "h"), title, ProductState.DRAFT, NOW, NOW, variants=variants, **fields)


def read(query: str) -> list[list[str]]:
    """The terms of each alternative: phrases in quotes, what is to be left out with a minus."""
    return [
        [f"{'-' * term.negative}{term.text or chr(34) + ' '.join(term.words) + chr(34)}" for term in terms]
        for terms in search_query(query).alternatives
    ]


@pytest.mark.parametrize(
    ("query", "terms"),
    [
        ("red Shirt", [["red", "shirt"]]),
        ('"road shoe" café', [['"road shoe"', "cafe"]]),
        ("“Road  shoe” x", [['"road shoe"', "x"]]),
        ('"road shoe', [['"road shoe"']]),
        ('shirt -red -"two words"', [["shirt", "-red", '-"two words"']]),
        ("cat OR dog -big", [["cat"], ["dog", "-big"]]),
        ("or", [["or"]]),
        ("or shirt or", [["shirt"]]),
        ("cat or or dog", [["cat"], ["dog"]]),
        ("the kettle", [["kettle"]]),
        ("the of", [["the", "of"]]),
        ("the -kettle", [["the", "-kettle"]]),
        ("(KT-INS114), _x_ c++", [["kt-ins114", "x", "c"]]),
        ("- -- !!! \"\" '' % _ \\", []),
        ("日本語　の本", [["日本語", "の本"]]),
    ],
)
def test_a_query_is_read_as_web_search_engines_do(query: str, terms: list[list[str]]) -> None:
    assert read(query) == terms


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=500))
def test_any_query_can_be_read(query: str) -> None:
    found = search_query(query)
    assert found == search_query(query.strip())
    for terms in found.alternatives:
        assert terms
        for term in terms:
            assert term.words
            assert all(len(mark) <= 4 for mark in term.marks)
            assert len(term.text.encode()) <= 2000


def test_a_document_has_each_part_of_each_name_once() -> None:
    document = search_document(product("Tee Tee", "TEE-1", vendor="Tee", handle="tee"))
    assert document.parts == "tee tee-1 tee1"
    marks = ["=tee tee", "=tee", "=tee-1", "^tee", "~tee", "~ee-", "~e-1", "~-1", "~1", "~ee1", "~e1"]
    assert list(document.marks) == marks


@given(st.lists(st.text("abc本", min_size=1, max_size=6), min_size=1, max_size=6))
def test_each_part_of_a_name_begins_a_mark(names: list[str]) -> None:
    document = search_document(product(" ".join(names)))
    found = [mark for mark in document.marks if mark.startswith("~")]
    assert len(found) == len(set(found))
    for name in names:
        for start, end in combinations(range(len(name) + 1), 2):
            assert all(any(each.startswith(mark) for each in found) for mark in Term(name[start:end], []).marks)


CHANGES: dict[str, Any] = {
    "title": "Cap",
    "handle": "i",
    "description": "warm",
    "vendor": "Acme",
    "product_type": "Hat",
    "tags": ("red",),
    "variants": (Variant("A", Money("EUR", 100), title="Rot", barcode="400", options={"Colour": "Red"}),),
    "state": ProductState.PUBLISHED,
    "attributes": {"a": "b"},
    "images": (Image("https://shop.example/a.png"),),
    "publish_time": NOW,
    "version": 2,
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_a_document_is_made_of_is_known(name: str) -> None:
    """Where it has not changed, the document of a product is not made and stored again."""
    before = product("Tee", "A")
    after = replace(before, **{name: CHANGES[name]})
    assert (search_document(before) == search_document(after)) is (searched(before) == searched(after))


@pytest.mark.parametrize(
    ("change", "same"),
    [
        *(({name: value}, False) for name, value in (("sku", "B"), ("barcode", "4"), ("title", "x"))),
        ({"options": {"Colour": "Red"}}, False),
        ({"price": Money("EUR", 90)}, True),
        ({"weight_grams": 5, "image_url": "https://shop.example/a.png", "untracked": True}, True),
    ],
)
def test_what_a_document_knows_of_a_variant(change: dict[str, Any], same: bool) -> None:
    before = product("Tee", "A")
    after = replace(before, variants=(replace(before.variants[0], **change),))
    assert (search_document(before) == search_document(after)) is same
    assert (searched(before) == searched(after)) is same


def test_a_document_has_the_markup_of_a_description_as_blanks() -> None:
    document = search_document(product("x", description="<p class='bold'>soft&nbsp;cotton</p><br/>2 < 3"))
    assert document.description_words == "soft cotton 2 3"


def test_the_greatest_product_fits_a_search_vector() -> None:
    """1 MiB, for words in two dictionaries and marks."""
    letter = "\U0001d306"
    large = product(
        "ﷺ" * 300,
        *(f"{number:04}{chr(0x20000 + number) * 60}" for number in range(2_048)),
        description=" ".join(chr(0x20000 + n % 40_000) + letter for n in range(50_000)),
        tags=tuple(f"{n}{letter * 190}" for n in range(250)),
    )
    document = search_document(large)
    words = f"{document.title_words} {document.name_words} {document.description_words}"
    assert 2 * len(words.encode()) + sum(len(mark.encode()) for mark in document.marks) < 2**20
    assert sum(len(mark.encode()) for mark in document.marks) <= MARK_BYTES
    assert len(document.name_words.encode()) <= 2 * NAME_BYTES
    assert max(len(mark.encode()) for mark in document.marks) <= 2_046


@pytest.mark.parametrize(
    ("query", "fit"),
    [
        *((query, Rank.EXACT) for query in ("TEE-1", "tee-1", "Blue Café tee", '"blue cafe TEE"', "blue-cafe-tee")),
        *((query, Rank.TITLE) for query in ("tee", "caf blu", "te -shirt", "nothing or tee")),
        *((query, Rank.ELSEWHERE) for query in ("cotton", "tee cotton", "ee", "-shirt")),
    ],
)
def test_what_is_called_so_comes_first_and_then_what_has_the_words_in_its_title(query: str, fit: Rank) -> None:
    tee = product("Blue Café Tee", "TEE-1", "TEE-2", handle="blue-cafe-tee", description="cotton")
    assert rank(tee, search_query(query)) is fit


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("red shirts", ["resh"]),
        ("kt-ins01234-red x", ["ktin", "inre", "rex"]),
        ("dying to die", ["dito", "todi"]),
        ("a 日本 b", ["ab"]),
        ("red", []),
        ("soft\ncotton", ["soco"]),
    ],
)
def test_words_that_follow_each_other_are_pairs(text: str, pairs: list[str]) -> None:
    assert word_pairs(text) == set(pairs)
    assert word_pairs(text, "é", text) == set(pairs)


@pytest.mark.parametrize(
    ("query", "pairs"),
    [
        ('"red silk shirt"', ["resi", "sish"]),
        ('"shirt of red silk"', ["resi"]),  # any word may be where the stop word is
        ('"red 12 shirts"', []),
        ('"to be"', []),
        ("red-shirt", []),  # found as a part, too
    ],
)
def test_a_phrase_has_pairs_that_all_products_with_it_have(query: str, pairs: list[str]) -> None:
    assert search_query(query).alternatives[0][0].pairs == pairs


def test_a_document_has_the_pairs_of_each_of_its_texts() -> None:
    tee = product("Red tee", "KT-INS", vendor="Acme Ltd", description="<p>Soft</p> cotton.", handle="red-tee")
    assert search_document(tee).pairs == {"rete", "ktin", "aclt", "soco"}
