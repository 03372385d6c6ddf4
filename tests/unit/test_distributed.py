"""What the check of a distributed PostgreSQL finds: each limit, in a statement that meets it and one that does not."""

from __future__ import annotations

import pytest
import sqlglot

from benchmarks.distributed import judge
from benchmarks.distributed.commit_cost import CommitCost, crossing_share, simulate
from benchmarks.distributed.plan import PLANS, broken_keys
from benchmarks.distributed.statements import statements

BY_SKU, BY_ORDER = PLANS


def found(sql: str, *, is_combined: bool = False) -> set[str]:
    return judge.obstacles(sqlglot.parse_one(sql, dialect="postgres"), BY_SKU, is_combined)


@pytest.mark.parametrize(
    ("limit", "refused", "taken"),
    [
        (
            judge.LOCKS,
            "SELECT * FROM stock WHERE sku = ANY($1) FOR NO KEY UPDATE",
            "SELECT * FROM stock WHERE sku = $1 FOR NO KEY UPDATE",
        ),
        (
            judge.APART,
            "SELECT 1 FROM orders JOIN payments USING (order_id) JOIN order_lines USING (order_id)",
            "SELECT 1 FROM orders JOIN payments USING (order_id)",
        ),
        (
            judge.OUTER,
            "SELECT 1 FROM stock s LEFT JOIN movements m ON m.location_id = s.location_id",
            "SELECT 1 FROM stock s LEFT JOIN movements m ON m.sku = s.sku",
        ),
        (
            judge.CORRELATED,
            "SELECT 1 FROM products p WHERE EXISTS (SELECT FROM variants v WHERE v.product_id = p.product_id)",
            "SELECT 1 FROM stock s WHERE EXISTS (SELECT FROM variants v WHERE v.sku = s.sku)",
        ),
        (
            judge.MODIFYING,
            "WITH a AS (UPDATE stock SET reserved = 1) SELECT 1",
            "WITH a AS (UPDATE locations SET active = true) SELECT 1",
        ),
        (
            judge.CONFLICT,
            "INSERT INTO stock_alerts (sku) SELECT * FROM x ON CONFLICT (alert_id) DO NOTHING",
            "INSERT INTO stock (sku) SELECT * FROM x ON CONFLICT (sku, location_id) DO NOTHING",
        ),
        (judge.MOVES, "UPDATE variants SET sku = $2 WHERE sku = $1", "UPDATE variants SET title = $2 WHERE sku = $1"),
        (
            judge.VOLATILE,
            "UPDATE stock SET update_time = clock_timestamp()",
            "UPDATE stock SET update_time = now() WHERE sku = ANY($1)",
        ),
        (
            judge.TRANSACTIONS,
            "SELECT pg_current_snapshot(), seq FROM events WHERE aggregate_id = $1",
            "SELECT seq FROM events WHERE aggregate_id = $1",
        ),
        (
            judge.MERGES,
            "MERGE INTO variants v USING x ON v.sku = x.sku WHEN MATCHED THEN UPDATE SET title = x.title",
            "MERGE INTO products p USING x ON p.product_id = x.id WHEN MATCHED THEN UPDATE SET title = x.title",
        ),
        (
            judge.RECURSIVE,
            "WITH RECURSIVE a AS (SELECT sku FROM variants) SELECT 1 FROM a",
            "WITH a AS (SELECT sku FROM variants) SELECT 1 FROM a",
        ),
    ],
)
def test_each_limit_is_found_where_it_is_met(limit: str, refused: str, taken: str) -> None:
    assert limit in found(refused)
    assert not found(taken)


def test_a_column_that_may_be_anything_names_no_node() -> None:
    tree = sqlglot.parse_one("SELECT 1 FROM stock WHERE $1::text IS NULL OR sku = $1", dialect="postgres")
    assert not judge.is_of_one_node(tree, BY_SKU)


def test_what_is_sent_with_others_changes_several_nodes() -> None:
    sql = "INSERT INTO idempotency (request_id) SELECT * FROM unnest($1::uuid[])"
    assert not found(sql)
    assert found(sql, is_combined=True) == {judge.MODIFYING}


def test_a_unique_key_needs_the_column_of_distribution() -> None:
    keys = [("order_lines", "order_lines_pkey", ["order_id", "line_number"])]
    assert broken_keys(BY_SKU, keys) == ["order_lines_pkey (order_id, line_number) of order_lines lacks sku"]
    assert not broken_keys(BY_ORDER, keys)


@pytest.mark.long
def test_every_statement_is_found_and_nearly_all_can_be_read() -> None:
    all_of_them = list(statements())
    assert len(all_of_them) > 150
    assert len([each for each in all_of_them if each.tree is None]) < 12
    combined = {each.module for each in all_of_them if each.is_combined}
    assert {"write/write_state.py", "write/write_orders.py", "write/idempotency.py"} <= combined


def test_orders_that_cross_nodes_cost_what_nodes_bring() -> None:
    cost = CommitCost(0.001, 0.004)
    alone, four = simulate(1, 0.0, cost), simulate(4, 0.0, cost)
    assert four > 2 * alone
    assert simulate(4, 0.5, cost) < four
    assert simulate(4, 0.5, CommitCost(0.001, 0.04)) < simulate(4, 0.5, cost)
    assert (crossing_share(1, 5), crossing_share(2, 1), crossing_share(2, 2)) == (0.0, 0.0, 0.5)
