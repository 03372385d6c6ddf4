"""Maps the former SKU of a row to the current SKU of its goods.

A rename does not change the ledger or the lines of orders and reservations, as a SKU may have millions. The table
`former_skus` records which goods a former SKU meant and until when, so that the SKU can be used again. Time is counted
in ids of the ledger: each rename draws one while the stock is locked.
"""

from __future__ import annotations


def renamed(row: str, moment: str) -> str:
    """Returns the join that finds, as `former`, the goods that the SKU of `row` meant at its `moment`, unless it still
    does."""
    return (
        f"LEFT JOIN former_skus former ON former.name = {row}.sku "
        f"AND former.since <= {row}.{moment} AND {row}.{moment} < former.until"
    )


def sku_now(row: str) -> str:
    """Returns, for use with that join, the current SKU of the row's goods."""
    return f"coalesce(former.sku, {row}.sku)"


def names_of(sku: str) -> str:
    """Returns an array of all SKUs that rows of these goods may have, for an index; `sku_now` then decides which rows
    are of these goods. `sku` is a parameter such as `$1`."""
    return f"ARRAY(SELECT {sku}::text UNION ALL SELECT name FROM former_skus WHERE sku = {sku}::text)"


def rows_of(table: str, moment: str, sku: str) -> tuple[str, str]:
    """Returns two sources of rows of these goods, `FROM ... WHERE ...`, as `l`: those that have the SKU, whose number
    the planner knows, and those that were written under a former one. `sku` is a parameter such as `$1`."""
    then = f"former.name = l.sku AND former.since <= l.{moment} AND l.{moment} < former.until"
    return (
        f"{table} l WHERE l.sku = {sku} "
        f"AND NOT EXISTS (SELECT FROM former_skus former WHERE {then} AND former.sku <> {sku})",
        f"former_skus former JOIN {table} l ON {then} WHERE former.sku = {sku}",
    )


RENAMES = "(SELECT count FROM sku_renames)"
"""The number of committed renames. While it is unchanged, SKUs that were read are still current."""
