"""Every benchmark, in the order of the table."""

from __future__ import annotations

from benchmarks import (
    batch_orders,
    by_hand,
    full_shop,
    hot_sku,
    lone_events,
    memory,
    order_lists,
    order_shapes,
    reads,
    relay_drain,
    search,
    stock_sync,
    two_servers,
    webhook_gateway,
    whole_stack,
)
from benchmarks.report import Benchmark

BENCHMARKS: tuple[Benchmark, ...] = (
    hot_sku.BENCHMARK,
    order_shapes.BENCHMARK,
    reads.BENCHMARK,
    two_servers.BENCHMARK,
    batch_orders.BENCHMARK,
    stock_sync.BENCHMARK,
    relay_drain.BENCHMARK,
    webhook_gateway.BENCHMARK,
    full_shop.BENCHMARK,
    memory.BENCHMARK,
    search.BENCHMARK,
    lone_events.BENCHMARK,
    by_hand.BENCHMARK,
    order_lists.BENCHMARK,
    by_hand.SLOW_DISK,
    whole_stack.WITH_AND_WITHOUT,
    whole_stack.AGAINST_EARLIER,
)
