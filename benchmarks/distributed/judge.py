"""Holds a statement against the limits that Citus documents.

The limits are those of "SQL Support and Workarounds" in the documentation of Citus 13, for statements that are not
answered by one node: https://docs.citusdata.com/en/stable/develop/reference_workarounds.html, and what is said there of
keys and of the distribution column.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from benchmarks.distributed.plan import Plan

LOCKS = "row locks of several nodes (SELECT … FOR UPDATE works on a single shard)"
APART = "joins tables that are not co-located"
OUTER = "outer join that is not on the distribution column"
CORRELATED = "subquery correlated by another than the distribution column"
MODIFYING = "changes of several nodes in one WITH"
CONFLICT = "ON CONFLICT on a key without the distribution column"
MOVES = "changes the distribution column"
VOLATILE = "volatile function in a change"
RECURSIVE = "recursive WITH"
GROUPING = "grouping sets"
MERGES = "MERGE from what is not co-located"
TRANSACTIONS = "transaction ids or WAL of one node"

VOLATILE_FUNCTIONS = {"clock_timestamp", "nextval", "setval", "random", "gen_random_uuid", "uuidv7"}
OF_ONE_NODE = {
    *("pg_current_snapshot", "pg_snapshot_xmin", "pg_snapshot_xmax", "pg_current_xact_id", "pg_visible_in_snapshot"),
    *("pg_current_wal_lsn", "pg_walfile_name", "pg_sequence_last_value", "pg_xact_status"),
}


def tables_of(tree: exp.Expr, plan: Plan) -> set[str]:
    """Returns the tables of ours in a statement."""
    return {table.name for table in tree.find_all(exp.Table) if plan.is_known(table.name)}


def is_of_one_node(tree: exp.Expr, plan: Plan) -> bool:
    """Returns whether one node answers it: it names no table that is spread, or the value of the one column by which
    all of them are."""
    columns = {plan.columns[name] for name in tables_of(tree, plan) if name in plan.columns}
    return not columns or (len(columns) == 1 and columns <= _pinned(tree))


def obstacles(tree: exp.Expr, plan: Plan, is_combined: bool = False) -> set[str]:
    """Returns what Citus refuses of a statement, or does otherwise than one PostgreSQL; empty if nothing. With
    `is_combined` it is part of a larger WITH."""
    found = {MOVES} if _moves(tree, plan) else set()
    if is_combined and tables_of(tree, plan) & plan.columns.keys():
        found.add(MODIFYING)
    if tables_of(tree, plan) & plan.columns.keys() and _functions(tree) & OF_ONE_NODE:
        found.add(TRANSACTIONS)
    if not is_of_one_node(tree, plan):
        found |= set(_across_nodes(tree, plan))
    return found


def _across_nodes(tree: exp.Expr, plan: Plan) -> Iterator[str]:
    spread = plan.columns.keys()
    for select in tree.find_all(exp.Select):
        sources = _sources(select) & spread
        if select.args.get("locks") and sources:
            yield LOCKS
        if len({plan.columns[name] for name in sources}) > 1:
            yield APART
        if len(sources) > 1 and not _joined_on(select, {plan.columns[name] for name in sources}):
            yield OUTER
        if select.find(exp.GroupingSets, exp.Cube, exp.Rollup):
            yield GROUPING
    if any(_is_correlated(each, plan) for each in tree.find_all(exp.Subquery, exp.Exists)):
        yield CORRELATED
    changes = [each for each in tree.find_all(exp.Insert, exp.Update, exp.Delete, exp.Merge) if _target(each) in spread]
    if any(each is not tree for each in changes):
        yield MODIFYING
    for change in changes:
        if isinstance(change, exp.Merge):
            yield MERGES
        elif isinstance(change, exp.Insert):
            conflict = change.args.get("conflict")
            keys = {each.name for each in conflict.args.get("conflict_keys") or ()} if conflict else set()
            if keys and plan.columns[_target(change)] not in keys:
                yield CONFLICT
        elif _functions(change) & VOLATILE_FUNCTIONS:
            yield VOLATILE
    if any(each.args.get("recursive") for each in tree.find_all(exp.With)):
        yield RECURSIVE


def _pinned(tree: exp.Expr) -> set[str]:
    """Returns the columns that are compared with a single value in any case, so not as one of several conditions."""
    found = set()
    for equal in tree.find_all(exp.EQ):
        if equal.find_ancestor(exp.Or):
            continue
        for one, other in ((equal.left, equal.right), (equal.right, equal.left)):
            value = other.this if isinstance(other, exp.Cast) else other.unnest()
            if isinstance(one, exp.Column) and isinstance(value, exp.Parameter | exp.Literal | exp.Placeholder):
                found.add(one.name)
    return found


def _sources(select: exp.Select) -> set[str]:
    """Returns the tables in FROM and JOIN of a SELECT itself, without those of its subqueries."""
    from_ = select.args.get("from_") or select.args.get("from")
    joined = [join.this for join in select.args.get("joins") or ()]
    return {each.name for each in (*([from_.this] if from_ else ()), *joined) if isinstance(each, exp.Table)}


def _joined_on(select: exp.Select, columns: set[str]) -> bool:
    """Returns whether every outer join names a column of distribution."""
    outer = [join for join in select.args.get("joins") or () if join.side]
    named = [(*join.find_all(exp.Column), *(join.args.get("using") or ())) for join in outer]
    return all(columns & {column.name for column in each} for each in named)


def _is_correlated(subquery: exp.Expr, plan: Plan) -> bool:
    """Returns whether a subquery on spread tables names an alias from outside, by other than a distribution column."""
    if not tables_of(subquery, plan) & plan.columns.keys():
        return False
    inside = {
        each.alias_or_name for each in subquery.find_all(exp.Table, exp.Subquery, exp.Unnest, exp.CTE, exp.Lateral)
    }
    outer = {column.name for column in subquery.find_all(exp.Column) if column.table and column.table not in inside}
    return bool(outer) and not outer & set(plan.columns.values())


def _target(change: exp.Expr) -> str:
    table = change.this.find(exp.Table) if change.this else None
    return table.name if table else ""


def _moves(tree: exp.Expr, plan: Plan) -> bool:
    return any(
        isinstance(each, exp.EQ) and each.this.name == plan.columns.get(_target(change))
        for change in tree.find_all(exp.Update)
        for each in change.expressions
    )


def _functions(tree: exp.Expr) -> set[str]:
    named = {each.name.lower() for each in tree.find_all(exp.Anonymous)}
    return named | {each.sql_name().lower() for each in tree.find_all(exp.Func)}
