"""How the tables could be spread over nodes, and which of their keys that breaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

REFERENCE = frozenset(
    {
        "products",
        "product_search",
        "locations",
        "former_skus",
        "sku_renames",
        "log_epochs",
        "event_retention",
        "seal_key",
    }
    | {"api_keys", "api_key_uses", "endpoints", "endpoint_secrets"}
)
"""Small, or changed rarely: a copy on every node."""

LOCAL = frozenset(
    {"deliveries", "delivery_attempts", "lanes", "set_aside_messages", "webhook_feed", "outbox", "_pogo_migration"}
)
"""Of the relay, the gateway and migrations: on the coordinator alone."""

OF_STOCK = dict.fromkeys(("variants", "stock", "movements", "opening_balances", "stock_alerts"), "sku")
OF_ORDERS = dict.fromkeys(("orders", "order_contacts", "fulfillments", "payments"), "order_id")
OTHERS = {"reservations": "reservation_id", "idempotency": "request_id", "events": "aggregate_id"}
LINES = ("order_lines", "allocations", "reservation_lines")


@dataclass(frozen=True)
class Plan:
    """A column of distribution for each table that is spread; tables with columns of one name are co-located."""

    name: str
    columns: Mapping[str, str]

    def is_known(self, table: str) -> bool:
        """Returns whether it is a table of ours."""
        return table in self.columns or table in REFERENCE or table in LOCAL


PLANS = (
    Plan("lines with their SKU", {**OF_STOCK, **OF_ORDERS, **OTHERS, **dict.fromkeys(LINES, "sku")}),
    Plan(
        "lines with their order",
        {
            **OF_STOCK,
            **OF_ORDERS,
            **OTHERS,
            **dict.fromkeys(("order_lines", "allocations"), "order_id"),
            "reservation_lines": "reservation_id",
        },
    ),
)

UNIQUE = """
    SELECT t.relname AS name, i.relname AS key, array_agg(a.attname::text ORDER BY a.attnum) AS columns
    FROM pg_index x JOIN pg_class t ON t.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = ANY(x.indkey)
    WHERE x.indisunique AND t.relnamespace = 'public'::regnamespace AND NOT t.relispartition
    GROUP BY t.relname, i.relname ORDER BY t.relname, i.relname
"""


def broken_keys(plan: Plan, keys: Sequence[tuple[str, str, Sequence[str]]]) -> list[str]:
    """Returns the unique keys, of (table, name, columns), that lack the column by which their table is spread."""
    return [
        f"{name} ({', '.join(columns)}) of {table} lacks {plan.columns[table]}"
        for table, name, columns in keys
        if table in plan.columns and plan.columns[table] not in columns
    ]
