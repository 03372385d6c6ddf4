"""Selects the orders of a page of a list that is filtered, searched and sorted.

Every statement reads an index in the order of the list, or few rows that it sorts. PostgreSQL cannot read one index in
order for several values of its first column, so a list of states is read state by state, each as far as the page needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import product
from typing import Any

from stockward_server.application.ports.orders import ALWAYS, OrderFilter, OrderSort, Span
from stockward_server.application.ports.pages import Page
from stockward_server.domain.identifiers import first_id
from stockward_server.domain.order import OrderState
from stockward_server.domain.payment import PaymentState
from stockward_server.storage.former_skus import names_of, renamed, sku_now
from stockward_server.storage.statement import Parameters

CLOCKS = timedelta(days=1)
"""Largest difference between the clocks of a server, which makes ids, and of the database, which gives times."""

SORT_KEYS = {OrderSort.UPDATE_TIME: ("o.update_time", "timestamptz"), OrderSort.NET: ("o.net", "bigint")}
"""Column and type of each sort key besides the id, which sorts by the time of creation."""

UNKNOWN_PAYMENT = 0
"""Payment state of an order that a server of an earlier release wrote last."""

KNOWN = f"o.payment_state <> {UNKNOWN_PAYMENT}"
"""Excludes orders whose other columns are not known either. The planner has statistics of this one."""


def order_query(page: Page, wanted: OrderFilter) -> tuple[str, Sequence[Any]]:
    """Returns the statement that selects the ids of a page, as `id`, in the order of the list, and its arguments. It
    must be planned with its arguments: they decide which index is used."""
    query = _Query(page, wanted)
    if search := wanted.search:
        found = [query.found_by_words()] if search.words else []
        found += [query.found_by_id()] if search.ids else []
        if not found:
            found = [query.select("orders o", "o.order_id", "false")]
        sql = query.merged(" UNION ".join(f"({each})" for each in found))
    elif wanted.sort is not OrderSort.CREATE_TIME or wanted.order_ids or wanted.customer_id or wanted.reference:
        sql = query.select("orders o", "o.order_id", *query.states())
    elif wanted.sku:
        sql = query.with_sku()
    elif wanted.location_id:
        sql = query.owed_from_location()
    elif (wanted.states or wanted.payment_states) and not (wanted.held or wanted.refund_required):
        sql = query.by_states()
    else:
        sql = query.select("orders o", "o.order_id", *query.states())
    return f"SELECT order_id::text AS id FROM ({sql}) AS listed", query.values


class _Query:
    """Builds the parts of one statement."""

    def __init__(self, page: Page, wanted: OrderFilter) -> None:
        parameters = Parameters()
        self.values = parameters.values
        self._bind = parameters.bind
        self._wanted = wanted
        self._page = page
        self._limit = self._bind(page.size)
        self._direction = "DESC" if wanted.descending else "ASC"

    def select(self, source: str, id: str, *conditions: str, without: Sequence[str] = ()) -> str:
        """Returns a SELECT of the first rows of the list from `source`, which has `orders o`. `id`: the column with the
        order's id whose index is read; `without`: filters that the source itself applies."""
        key, _ = SORT_KEYS.get(self._wanted.sort, (id, "uuid"))
        where = " AND ".join((*conditions, *self._conditions(id, without))) or "true"
        return (
            f"SELECT {id} AS order_id, {key} AS sort_key FROM {source} WHERE {where} "
            f"ORDER BY {key} {self._direction}, {id} {self._direction} LIMIT {self._limit}"
        )

    def merged(self, rows: str) -> str:
        """Returns the first rows of the list from rows that `select` returns, perhaps several times."""
        return (
            f"SELECT DISTINCT order_id, sort_key FROM ({rows}) AS found "
            f"ORDER BY sort_key {self._direction}, order_id {self._direction} LIMIT {self._limit}"
        )

    def by_states(self) -> str:
        """Reads each pair of states in order."""
        known = map(int, self._wanted.states or OrderState)
        paid = [int(state) for state in self._wanted.payment_states] or [UNKNOWN_PAYMENT, *PaymentState]
        states, payment_states = map(list, zip(*product(known, paid), strict=True))
        rows = self.select("orders o", "o.order_id", "o.state = pair.state", "o.payment_state = pair.payment_state")
        return self.merged(
            f"SELECT row.* FROM unnest({self._bind(states)}::smallint[], {self._bind(payment_states)}::smallint[]) "
            f"AS pair (state, payment_state) CROSS JOIN LATERAL ({rows}) AS row"
        )

    def with_sku(self) -> str:
        """Reads the orders of each name that the SKU has or had in order."""
        rows = self.select(
            f"order_lines l {renamed('l', 'sku_since')} JOIN orders o USING (order_id)",
            "l.order_id",
            "l.sku = known.name",
            f"{sku_now('l')} = {self._bind(self._wanted.sku)}",
            *self.states(),
            without=["sku"],
        )
        names = names_of(self._bind(self._wanted.sku))
        return self.merged(f"SELECT row.* FROM unnest({names}) AS known (name) CROSS JOIN LATERAL ({rows}) AS row")

    def owed_from_location(self) -> str:
        """Reads the open claims at the location in order."""
        claims = " AND ".join((f"c.location_id = {self._bind(self._wanted.location_id)}", *self._after("c.order_id")))
        source = (
            f"(SELECT DISTINCT c.order_id FROM allocations c WHERE {claims} ORDER BY c.order_id {self._direction}) "
            "AS claim JOIN orders o USING (order_id)"
        )
        return self.select(source, "claim.order_id", *self.states(), without=["location"])

    def found_by_words(self) -> str:
        search = self._wanted.search
        assert search
        lexemes = " & ".join(f"'{word}':*" for word in search.words)  # words have letters and digits only
        words = f"s.words @@ {self._bind(lexemes)}::text::tsquery"
        return self.select("order_search s JOIN orders o USING (order_id)", "s.order_id", words, *self.states())

    def found_by_id(self) -> str:
        search = self._wanted.search
        assert search
        assert search.ids
        first, last = map(self._bind, search.ids)
        return self.select("orders o", "o.order_id", f"o.order_id BETWEEN {first} AND {last}", *self.states())

    def states(self) -> list[str]:
        """Returns the conditions on the states, as literals: partial indexes need them in the text."""
        named = (("o.state", self._wanted.states), ("o.payment_state", self._wanted.payment_states))
        return [f"{column} IN ({', '.join(str(int(each)) for each in states)})" for column, states in named if states]

    def _conditions(self, id: str, without: Sequence[str]) -> list[str]:
        """Returns all conditions but those on the states."""
        wanted, bind = self._wanted, self._bind
        conditions = self._after(id)
        if wanted.order_ids:
            conditions.append(f"{id} = ANY({bind(list(wanted.order_ids))}::uuid[])")
        if wanted.customer_id:
            conditions.append(f"o.customer_id = {bind(wanted.customer_id)} AND o.customer_id <> ''")
        if wanted.reference:
            conditions.append(f"o.reference = {bind(wanted.reference)} AND o.reference <> ''")
        for column, value in (("o.held", wanted.held), ("o.refund_required", wanted.refund_required)):
            if value is not None:
                conditions += [column] if value else [f"NOT {column}", KNOWN]
        for comparison, amount in ((">=", wanted.min_net), ("<=", wanted.max_net)):
            if amount:
                conditions.append(f"o.net {comparison} {bind(amount.minor)} AND o.currency = {bind(amount.currency)}")
        if wanted.min_net or wanted.max_net or wanted.sort is OrderSort.NET:
            conditions.append(KNOWN)
        conditions += self._span("o.create_time", wanted.created) + self._span("o.update_time", wanted.updated)
        # Ids have the time of creation, and no order changes before it is created.
        if wanted.created.start:
            conditions.append(f"{id} >= {bind(first_id(wanted.created.start - CLOCKS))}")
        ends = [end for end in (wanted.created.end, wanted.updated.end) if end]
        if ends:
            conditions.append(f"{id} < {bind(first_id(min(ends) + CLOCKS))}")
        if wanted.tags:
            conditions.append(f"o.tags @> {bind(list(wanted.tags))}::text[] AND o.tags IS NOT NULL")
        if wanted.due != ALWAYS:
            conditions += ["o.state = 1", "NOT o.terms_met", *self._span("o.payment_due_time", wanted.due)]
        if wanted.location_id and "location" not in without:
            location = bind(wanted.location_id)
            conditions.append(
                f"EXISTS (SELECT FROM allocations c WHERE c.order_id = o.order_id AND c.location_id = {location})"
            )
        if wanted.sku and "sku" not in without:
            sku = bind(wanted.sku)
            conditions.append(
                f"EXISTS (SELECT FROM order_lines l {renamed('l', 'sku_since')} "
                f"WHERE l.order_id = o.order_id AND l.sku = ANY({names_of(sku)}) AND {sku_now('l')} = {sku})"
            )
        return conditions

    def _after(self, id: str) -> list[str]:
        """Returns the condition that a row comes after the position of the page, if it has one."""
        if not self._page.after:
            return []
        beyond = "<" if self._wanted.descending else ">"
        *keys, last = self._page.after
        if not keys:
            return [f"{id} {beyond} {self._bind(last)}::uuid"]
        column, kind = SORT_KEYS[self._wanted.sort]
        key = datetime.fromisoformat(keys[0]) if self._wanted.sort is OrderSort.UPDATE_TIME else keys[0]
        return [f"({column}, {id}) {beyond} ({self._bind(key)}::{kind}, {self._bind(last)}::uuid)"]

    def _span(self, column: str, span: Span) -> list[str]:
        named = ((">=", span.start), ("<", span.end))
        return [f"{column} {comparison} {self._bind(time)}" for comparison, time in named if time]
