"""The words that an order is found by, and the syntax of a search for orders."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from uuid import UUID

from stockward_server.domain.folding import cut, fold, split_words
from stockward_server.domain.order import Order

WORD_BYTES = 256
"""UTF-8 bytes of a word that are indexed; an index entry must stay below 2,046."""

MAX_WORDS = 1_000
"""Words of an order that are indexed: enough for a hundred parcels."""

ID_CHARACTERS = 6
"""Characters of an id with which a search for it begins: these stand for about five hours of orders."""

_ID = re.compile(r"[0-9a-f-]+")


@dataclass(frozen=True, slots=True)
class OrderSearch:
    """A parsed search: orders that have all words, each as a beginning, or an id in the range."""

    words: tuple[str, ...]
    ids: tuple[UUID, UUID] | None = None


def order_words(order: Order) -> list[str]:
    """Returns the words of an order, each once: of reference, e-mail address, names, postal codes, tracking numbers.

    A text without signs is one word, and so is what follows each sign: `web1001` and `1001` of `WEB-1001`. A search
    leaves out signs, too. So most words of a name, which many orders share, are stored once in the index, and few are
    of one order alone.
    """
    words = dict.fromkeys(_words(order))
    return [cut(word, WORD_BYTES) for word in islice(words, MAX_WORDS)]


def order_search(text: str) -> OrderSearch:
    """Parses a search. A text without letters and digits finds nothing."""
    folded = fold(text)
    words = (cut("".join(split_words(chunk)), WORD_BYTES) for chunk in folded.split())
    return OrderSearch(tuple(dict.fromkeys(filter(None, words))), _ids(folded.strip()))


def _ids(text: str) -> tuple[UUID, UUID] | None:
    """Returns the first and last id that begin with the text, None if it is not the beginning of an id."""
    digits = text.replace("-", "")
    if not _ID.fullmatch(text) or not ID_CHARACTERS <= len(digits) <= 32:
        return None
    return UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))


def texts(order: Order) -> tuple[object, ...]:
    """Returns what the words of an order are made of: equal texts have equal words."""
    return order.reference, order.customer, [parcel.tracking_number for parcel in order.fulfillments]


def _words(order: Order) -> Iterator[str]:
    customer = order.customer
    if order.reference:
        yield from _parts(order.reference)
    if customer.email:
        yield from _email(customer.email)
    if customer.name:
        yield from _name(customer.name)
    for address in (customer.shipping_address, customer.billing_address):
        if address:
            if address.recipient != customer.name:
                yield from _name(address.recipient)
            yield from _parts(address.postal_code)
    for parcel in order.fulfillments:
        yield from _parts(parcel.tracking_number)


def _parts(text: str) -> list[str]:
    """Returns a text without signs, and what follows each of them."""
    words = split_words(fold(text))
    return ["".join(words[start:]) for start in range(len(words))] if len(words) > 1 else words


def _name(text: str) -> Iterator[str]:
    """Yields the parts of each name: `muller` is the same word in all orders, whatever comes before it."""
    for name in text.split():
        yield from _parts(name)


def _email(address: str) -> Iterator[str]:
    """Yields the whole, and the words before the @."""
    words = split_words(fold(address))
    yield "".join(words)
    yield from _parts(address.rpartition("@")[0])[1:]
