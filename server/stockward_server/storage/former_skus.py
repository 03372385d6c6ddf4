"""SKUs that were renamed: what an old row's SKU is called now.

A rename leaves the ledger and the lines of orders and reservations as they were written, since a SKU may have
millions. The table `former_skus` says for each former name which goods it meant and for how long, so that
the name can be used again. Time is counted in ids of the ledger: each rename draws one while the stock is locked.
"""

from __future__ import annotations


def renamed(row: str, moment: str) -> str:
    """Returns the join that finds, as `former`, the goods that the SKU of `row` meant at its `moment`, if it no longer
    does."""
    return (
        f"LEFT JOIN former_skus former ON former.name = {row}.sku "
        f"AND former.since <= {row}.{moment} AND {row}.{moment} < former.until"
    )


def sku_now(row: str) -> str:
    """Returns, beside that join, the SKU of the row's goods now."""
    return f"coalesce(former.sku, {row}.sku)"


def names_of(sku: str) -> str:
    """Returns an array of all names that rows of the goods with this SKU may have, for an index; `sku_now` says which
    rows are of these goods. `sku` is a parameter such as `$1`."""
    return f"ARRAY(SELECT {sku}::text UNION ALL SELECT name FROM former_skus WHERE sku = {sku}::text)"


RENAMES = "(SELECT count FROM sku_renames)"
"""How many renames were committed. Where it has not changed, SKUs are still what they were read as."""
