"""Writes what lists of orders are filtered and searched by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from stockward_server.domain.order import Order
from stockward_server.domain.order_search import order_words, texts
from stockward_server.storage.columns import columns
from stockward_server.storage.statement import Statement


def list_columns(order: Order) -> tuple[int, bool, bool, int]:
    """Returns the columns `payment_state`, `refund_required`, `held` and `net` of an order."""
    amounts, payment = order.amounts, order.payment
    return payment.state(amounts.asked), payment.refund_due(amounts.net) > 0, order.hold is not None, amounts.net


def index_words(write: Statement, orders: Iterable[Order], before: Mapping[str, Order]) -> None:
    """Stores the words that orders are found by, where they differ from those `before`. An order without texts, as in a
    flash sale, costs nothing."""
    rows = []
    for order in orders:
        old = before.get(order.order_id)
        if old is None or texts(old) != texts(order):
            words = order_words(order)
            if words or old:
                rows.append((order.order_id, " ".join(words)))
    if rows:
        write.add(
            """
            INSERT INTO order_search AS s (order_id, words)
            SELECT order_id, array_to_tsvector(string_to_array(words, ' '))
            FROM unnest($1::uuid[], $2::text[]) AS n (order_id, words)
            ON CONFLICT (order_id) DO UPDATE SET words = excluded.words WHERE s.words <> excluded.words
            """,
            *columns(rows),
        )
