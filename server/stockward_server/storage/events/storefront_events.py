"""The events that a storefront may see, as an SQL condition; `domain.event` defines them.

An event of a published product is visible when it is not older than the event that last published the product. That
event's time is the product's `publish_time`; when it is no longer kept, every kept event is younger. An event of a
stock row is not visible when it is older than the SKU of the variant: until then the SKU meant other goods. A hidden
event stays hidden, so that a storefront that reads the log again, or late, sees no event out of order.
"""

from __future__ import annotations

from stockward_server.domain.event import STAFF_ONLY, STOREFRONT_EVENTS, STOREFRONT_EVENTS_WHILE_PUBLISHED
from stockward_server.domain.product import ProductState

LAST_PUBLISHED = """
    coalesce((SELECT max(last.seq) FROM events last
              WHERE last.aggregate_id = p.product_id::text AND last.type = 'product.published'
                AND last.create_time = p.publish_time), 0)
"""


UUID = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
"""Texts that can be cast to uuid; `pg_input_is_valid` would say so only since PostgreSQL 16."""


def seen_by_storefronts(type_: str, aggregate_id: str, seq: str) -> str:
    """Returns the condition; the arguments are the SQL of an event's type, aggregate id and seq."""
    # The cast is in a subquery, as a constant would be cast during planning, UUID or not.
    return f"""
    CASE
        WHEN {_is_one_of(type_, STAFF_ONLY)} THEN false
        WHEN {_is_one_of(type_, STOREFRONT_EVENTS)} THEN true
        WHEN NOT {_is_one_of(type_, STOREFRONT_EVENTS_WHILE_PUBLISHED)} THEN false
        WHEN starts_with({type_}, 'stock.') THEN {seq} >= (
            SELECT greatest(v.events_since, {LAST_PUBLISHED}) FROM variants v JOIN products p USING (product_id)
            WHERE v.sku = regexp_replace({aggregate_id}, '@[^@]*$', '') AND p.state = {ProductState.PUBLISHED:d})
        ELSE {seq} >= (
            SELECT {LAST_PUBLISHED} FROM products p
            WHERE p.product_id = CASE WHEN {aggregate_id} ~ '{UUID}'
                    THEN (SELECT {aggregate_id})::uuid END
              AND p.state = {ProductState.PUBLISHED:d})
    END
    """


def _is_one_of(type_: str, types: tuple[str, ...]) -> str:
    names = ",".join(f"'{each}'" for each in types)
    return f"ARRAY[{type_}, split_part({type_}, '.', 1) || '.*'] && ARRAY[{names}]"
