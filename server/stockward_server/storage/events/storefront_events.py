"""The events that a storefront may see, as a condition of SQL; `domain.event` says which these are.

An event of a product that is for sale is seen when it is not older than the one by which the product was last
published. That one has the product's `publish_time` as its time; where it is no longer kept, every event that is kept
is younger. Nor is an event of a stock row older than the SKU of the variant: before, the name was that of other goods.
An event that is hidden stays hidden: a storefront that reads the record again, or late, sees nothing out of order.
"""

from __future__ import annotations

from stockward_server.domain.event import STAFF_ONLY, STOREFRONT_EVENTS, STOREFRONT_EVENTS_WHILE_PUBLISHED
from stockward_server.domain.product import ProductState

LAST_PUBLISHED = """
    coalesce((SELECT max(last.seq) FROM events last
              WHERE last.aggregate_id = p.product_id::text AND last.type = 'product.published'
                AND last.create_time = p.publish_time), 0)
"""


def seen_by_storefronts(type_: str, aggregate_id: str, seq: str) -> str:
    """Returns the condition; the arguments are the SQL of an event's type, aggregate id and seq."""
    # An id is cast behind a subquery, as a constant would be cast while the statement is planned, UUID or not.
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
            WHERE p.product_id = CASE WHEN pg_input_is_valid({aggregate_id}, 'uuid')
                    THEN (SELECT {aggregate_id})::uuid END
              AND p.state = {ProductState.PUBLISHED:d})
    END
    """


def _is_one_of(type_: str, types: tuple[str, ...]) -> str:
    names = ",".join(f"'{each}'" for each in types)
    return f"ARRAY[{type_}, split_part({type_}, '.', 1) || '.*'] && ARRAY[{names}]"
