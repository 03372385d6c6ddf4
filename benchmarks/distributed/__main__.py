"""`python -m benchmarks.distributed`: prints what Citus would refuse, and what commits in two phases would cost.

With `--list` each statement that is refused is printed with its place.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter

import asyncpg

from benchmarks.distributed.commit_cost import CommitCost, crossing_share, measure, simulate
from benchmarks.distributed.judge import is_of_one_node, obstacles, tables_of
from benchmarks.distributed.plan import PLANS, UNIQUE, Plan, broken_keys
from benchmarks.distributed.statements import Found, statements
from stockward_dev import Postgres
from stockward_server.storage.database import migrate

NODES, LINES = (1, 2, 4, 8), (1, 2, 3, 5)


def show_statements(plan: Plan, found: list[Found], keys: list[tuple[str, str, list[str]]], listed: bool) -> None:
    """Prints how many statements stand in the way of a plan, and why."""
    kinds, reasons = Counter[str](), Counter[str]()
    for each in found:
        if each.tree is None:
            kinds["only a part of a statement, not judged"] += 1
            continue
        why = obstacles(each.tree, plan, each.is_combined)
        reasons.update(why)
        spread = tables_of(each.tree, plan) & plan.columns.keys()
        if why:
            kinds["to be rewritten"] += 1
        elif not spread:
            kinds["no table that is spread"] += 1
        else:
            kinds["one node" if is_of_one_node(each.tree, plan) else "several nodes, as it is"] += 1
        if why and listed:
            print(f"  storage/{each.module}:{each.line}: {'; '.join(sorted(why))}")
    print(f"\n{plan.name}: {len(found)} statements")
    for name, count in (*kinds.most_common(), *((f"  {reason}", count) for reason, count in reasons.most_common())):
        print(f"  {count:4}  {name}")
    for broken in broken_keys(plan, keys):
        print(f"        unique key {broken}")


def show_cost(cost: CommitCost) -> None:
    """Prints the measured commits and the simulated rates."""
    print(f"\ncommit {cost.one * 1e3:.2f} ms; in two phases on two nodes {cost.two_phases * 1e3:.2f} ms (medians)")
    alone = simulate(1, 0.0, cost)
    print(f"orders a second, times those of one node ({alone:,.0f}):")
    print("  lines " + "".join(f"{nodes:>8} nodes" for nodes in NODES))
    for lines in LINES:
        rates = [simulate(nodes, crossing_share(nodes, lines), cost) / alone for nodes in NODES]
        print(f"  {lines:5} " + "".join(f"{rate:14.2f}" for rate in rates))


async def main() -> None:
    async with Postgres.temporary() as server:
        url = await server.create_database("shop")
        await migrate(url)
        connection = await asyncpg.connect(url)
        keys = [(row["name"], row["key"], list(row["columns"])) for row in await connection.fetch(UNIQUE)]
        await connection.close()
    found = list(statements())
    for plan in PLANS:
        show_statements(plan, found, keys, "--list" in sys.argv)
    show_cost(await measure())


if __name__ == "__main__":
    asyncio.run(main())
