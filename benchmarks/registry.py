"""Every benchmark, in the order of the table."""

from __future__ import annotations

from benchmarks import (
    batch_orders,
    by_hand,
    committer,
    full_shop,
    hot_sku,
    lone_events,
    memory,
    order_lists,
    order_shapes,
    quiet_shop,
    reads,
    relay_drain,
    search,
    stock_sync,
    two_servers,
    webhook_gateway,
)
from benchmarks.report import Benchmark

BENCHMARKS: tuple[Benchmark, ...] = (
    hot_sku.BENCHMARK,
    order_shapes.BENCHMARK,
    reads.BENCHMARK,
    committer.BENCHMARK,
    two_servers.BENCHMARK,
    batch_orders.BENCHMARK,
    stock_sync.BENCHMARK,
    relay_drain.BENCHMARK,
    webhook_gateway.BENCHMARK,
    full_shop.BENCHMARK,
    quiet_shop.BENCHMARK,
    memory.BENCHMARK,
    search.BENCHMARK,
    lone_events.BENCHMARK,
    by_hand.BENCHMARK,
    order_lists.BENCHMARK,
)
