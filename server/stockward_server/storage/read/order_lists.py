"""Selects the orders of a page of a list that is filtered, searched and sorted.

Every statement reads an index in the order of the list, or few rows that it sorts. PostgreSQL cannot read one index in
order for several values of its first column, so a list of states is read state by state, each as far as the page needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from itertools import product
from typing import Any

from stockward_server.application.ports.orders import ALWAYS, OrderFilter, OrderSort, Span
from stockward_server.application.ports.pages import Page
from stockward_server.domain.identifiers import first_id
from stockward_server.domain.order import OPEN_STATES, OrderState
from stockward_server.domain.payment import PaymentState
from stockward_server.storage.former_skus import rows_of
from stockward_server.storage.statement import Parameters

CLOCKS = timedelta(days=1)
"""Largest difference between the clocks of a server, which makes ids, and of the database, which gives times."""

SORT_KEYS = {OrderSort.UPDATE_TIME: ("o.update_time", "timestamptz"), OrderSort.NET: ("o.net", "bigint")}
"""Column and type of each sort key besides the id, which sorts by the time of creation."""

UNKNOWN_PAYMENT = 0
"""Payment state of an order that a server of an earlier release wrote last."""

FEW = ("order_ids", "customer_id", "reference", "held", "refund_required")
"""Filters that few orders match, whose index is read."""

KNOWN = f"o.payment_state <> {UNKNOWN_PAYMENT}"
"""Excludes orders whose other columns are not known either. The planner has statistics of this one."""


def order_query(page: Page, wanted: OrderFilter) -> tuple[str, Sequence[Any]]:
    """Returns the statement that selects the ids of a page, as `id`, in the order of the list, and its arguments. It
    must be planned with its arguments: they decide which index is used."""
    query, filters = _Query(page, wanted), _filters(wanted)
    if search := wanted.search:
        found = query.found_by_words() if search.words else []
        found += query.found_by_id() if search.ids else []
        sql = query.merged(found or [query.select("orders o", "o.order_id", "false")])
    elif filters and filters <= {"states", "payment_states", "created"}:
        sql = query.by_states()
    elif filters and filters <= {"location_id", "created"}:
        sql = query.owed_from_location()
    elif wanted.sku and wanted.sort is OrderSort.CREATE_TIME:
        sql = query.by_lines()
    else:
        sql = query.listed()
    return f"SELECT order_id::text AS id FROM ({sql}) AS listed", query.values


def _filters(wanted: OrderFilter) -> set[str]:
    """Returns the names of what the list asks for, `sort` for any order but that of creation."""
    return {field.name for field in fields(wanted) if getattr(wanted, field.name) != field.default} - {"descending"}


def _possible_states(wanted: OrderFilter) -> set[OrderState]:
    """Returns the states that an order of the list can have. Only open orders have claims."""
    states = set(wanted.states or OrderState)
    if wanted.due != ALWAYS:
        states &= {OrderState.PENDING}
    return states & set(OPEN_STATES) if wanted.location_id else states


def _literals(states: Iterable[int]) -> str:
    return ", ".join(str(int(each)) for each in states)


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
        # Open orders are few, and the newest: an index in another order may have all others before them. So they are
        # read first where no others can match.
        states = _possible_states(wanted)
        only_open = states <= set(OPEN_STATES) and not any(getattr(wanted, name) for name in FEW)
        self._orders = "orders o"
        if only_open:
            self._orders = f"(SELECT * FROM orders WHERE state = ANY('{{{_literals(sorted(states))}}}') OFFSET 0) AS o"

    def listed(self) -> str:
        return self.merged(self._selects(self._orders, "o.order_id"))

    def _selects(self, source: str, id: str, *conditions: str) -> list[str]:
        """Returns a SELECT for each way in which an order can have the SKU, one where any will do."""
        conditions += tuple(self.states())
        if not self._wanted.sku:
            return [self.select(source, id, *conditions)]
        lines = rows_of("order_lines", "sku_since", self._bind(self._wanted.sku))
        having = (f"EXISTS (SELECT FROM {each} AND l.order_id = o.order_id)" for each in lines)
        return [self.select(source, id, *conditions, each) for each in having]

    def select(
        self, source: str, id: str, *conditions: str, without: Sequence[str] = (), distinct: bool = False
    ) -> str:
        """Returns a SELECT of the first rows of the list from `source`, which has `orders o`. `id`: the column with the
        order's id whose index is read; `without`: filters that the source itself applies; `distinct`: the source may
        have an order several times."""
        key, _ = SORT_KEYS.get(self._wanted.sort, (id, "uuid"))
        where = " AND ".join((*conditions, *self._conditions(id, without))) or "true"
        return (
            f"SELECT {'DISTINCT ' * distinct}{id} AS order_id, {key} AS sort_key FROM {source} WHERE {where} "
            f"ORDER BY {key} {self._direction}, {id} {self._direction} LIMIT {self._limit}"
        )

    def merged(self, selects: Sequence[str]) -> str:
        """Returns the first rows of the list from what `select` returned several times, perhaps the same rows."""
        rows = " UNION ALL ".join(f"({each})" for each in selects)
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
        pairs = f"unnest({self._bind(states)}::smallint[], {self._bind(payment_states)}::smallint[])"
        return self.merged(
            [f"SELECT row.* FROM {pairs} AS pair (state, payment_state) CROSS JOIN LATERAL ({rows}) AS row"]
        )

    def by_lines(self) -> str:
        """Reads the lines of the SKU, and those of its goods under a former one, in the order of their orders."""
        lines = rows_of("order_lines", "sku_since", self._bind(self._wanted.sku))
        sources = (f"(SELECT l.order_id FROM {each}) AS l JOIN orders o USING (order_id)" for each in lines)
        return self.merged([self.select(each, "l.order_id", *self.states(), distinct=True) for each in sources])

    def owed_from_location(self) -> str:
        """Reads the open claims at the location in order."""
        claims = " AND ".join((f"c.location_id = {self._bind(self._wanted.location_id)}", *self._after("c.order_id")))
        source = (
            f"(SELECT DISTINCT c.order_id FROM allocations c WHERE {claims} ORDER BY c.order_id {self._direction}) "
            "AS claim JOIN orders o USING (order_id)"
        )
        return self.select(source, "claim.order_id", *self.states(), without=["location"])

    def found_by_words(self) -> list[str]:
        search = self._wanted.search
        assert search
        lexemes = " & ".join(f"'{word}':*" for word in search.words)  # words have letters and digits only
        words = f"s.words @@ {self._bind(lexemes)}::text::tsquery"
        orders = "orders o" if self._wanted.sort is OrderSort.CREATE_TIME else self._orders
        return self._selects(f"order_search s JOIN {orders} USING (order_id)", "s.order_id", words)

    def found_by_id(self) -> list[str]:
        search = self._wanted.search
        assert search
        assert search.ids
        first, last = map(self._bind, search.ids)
        return self._selects("orders o", "o.order_id", f"o.order_id BETWEEN {first} AND {last}")

    def states(self) -> list[str]:
        """Returns the conditions on the states, as literals: partial indexes need them in the text."""
        named = (("o.state", self._wanted.states), ("o.payment_state", self._wanted.payment_states))
        return [f"{column} IN ({_literals(states)})" for column, states in named if states]

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
