"""The words that an order is found by."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from stockward_server.domain.order import Address, Customer, Fulfillment, Order, OrderState
from stockward_server.domain.order_search import order_search, order_words

NOW = datetime(2026, 12, 1, tzinfo=UTC)
ADDRESS = Address(recipient="Zoë O'Brien-Smith", postal_code="SW1A 1AA", city="London", lines=("Downing Street 10",))
ORDER = Order(
    "0193aaaa-0000-7000-8000-000000000001",
    OrderState.FULFILLED,
    "EUR",
    (),
    (),
    NOW,
    NOW,
    customer=Customer("c1", "Jürgen.Müller@Example.org", "Jürgen Müller", ADDRESS),
    reference="WEB-1001",
    fulfillments=(Fulfillment("f", (), "JD01 4600-0067", "DHL", NOW),),
)


def is_found(text: str) -> bool:
    search = order_search(text)
    words = order_words(ORDER)
    return bool(search.words) and all(any(word.startswith(each) for word in words) for each in search.words)


@pytest.mark.parametrize(
    "text",
    [
        *("WEB-1001", "web-10", "1001", "web1001", "web 1001"),
        *("jurgen.muller@example.org", "JÜRGEN.M", "muller", "Müller Jürgen", "mül"),
        *("O'Brien", "brien", "smith", "zoe"),
        *("SW1A 1AA", "sw1a1aa", "SW1A"),
        *("JD01 4600-0067", "JD0146000067", "4600", "muller 1001"),
    ],
)
def test_an_order_is_found(text: str) -> None:
    assert is_found(text)


@pytest.mark.parametrize("text", ["", "!!", "urgen", "example", "Downing", "London", "DHL", "WEB-1002", "muller 1002"])
def test_an_order_is_not_found(text: str) -> None:
    assert not is_found(text)


@pytest.mark.parametrize("text", ["0193aa", "0193AAAA-0000", ORDER.order_id, " 0193aaaa "])
def test_a_beginning_of_an_id_is_a_range_of_ids(text: str) -> None:
    ids = order_search(text).ids
    assert ids
    assert ids[0] <= UUID(ORDER.order_id) <= ids[1]


@pytest.mark.parametrize("text", ["0193a", "0193ag", "0193aa x", "0" * 33, "------", ""])
def test_other_texts_are_no_beginning_of_an_id(text: str) -> None:
    assert order_search(text).ids is None


def test_words_are_cut_and_counted() -> None:
    parcels = tuple(Fulfillment(str(n), (), f"T{n} " + "x" * 190, "", NOW) for n in range(1500))
    words = order_words(ORDER.but(reference="ü" * 200, fulfillments=parcels))
    assert len(words) == 1000
    assert max(len(word.encode()) for word in words) <= 256
