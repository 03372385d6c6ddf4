"""What a month of the Online Retail data comes to, straight from the file: SQL, no Stockward.

It shares nothing with the replay in `replay.py` but the rules written down in this package's docstring, so that the two
can check each other.
"""

from __future__ import annotations

import csv
import gzip
import sqlite3
from pathlib import Path

LINES_AN_ORDER = 1000
"""Most lines of one order."""

_SOLD_AND_RETURNED = """
    WITH trimmed AS (
        SELECT upper(StockCode) AS sku, upper(InvoiceNo) AS invoice, Quantity AS quantity, UnitPrice AS price
        FROM rows
    ), typed AS (
        SELECT *, CAST(quantity AS REAL) AS units, round(CAST(price AS REAL) * 100, 6) AS pence,
               invoice GLOB 'C*' AS is_return
        FROM trimmed
        WHERE ltrim(quantity, '-') GLOB '[0-9]*' AND quantity GLOB '*[0-9]'
          AND ltrim(quantity, '-') NOT GLOB '*[^0-9.]*' AND quantity NOT GLOB '*.*.*'
          AND price GLOB '[0-9]*' AND price GLOB '*[0-9]' AND price NOT GLOB '*[^0-9.]*' AND price NOT GLOB '*.*.*'
    )
    SELECT sku, CAST(units AS INTEGER) AS units, CAST(pence AS INTEGER) AS pence, invoice
    FROM typed
    WHERE (sku GLOB '[0-9][0-9][0-9][0-9][0-9]*' OR sku GLOB 'DCGS*' OR sku GLOB 'GIFT_*' OR sku = 'PADS')
      AND invoice GLOB '*[0-9]' AND ltrim(invoice, 'C') NOT GLOB '*[^0-9]*' AND invoice NOT GLOB 'CC*'
      AND units = round(units) AND pence = round(pence)
      AND pence > 0 AND CASE WHEN is_return THEN units < 0 ELSE units > 0 END
"""


def count_month(file: Path, opening: int) -> tuple[dict[str, int], int, int]:
    """Units on hand by SKU at the end, when each began with `opening`; orders; and what they come to in pence."""
    database = sqlite3.connect(":memory:")
    with gzip.open(file, "rt", encoding="utf-8-sig", newline="") as source:
        columns, *rows = ([cell.strip() for cell in row] for row in csv.reader(source))
        database.execute(f"CREATE TABLE rows ({', '.join(columns)})")
        whole = (row for row in rows if len(row) == len(columns))
        database.executemany(f"INSERT INTO rows VALUES ({', '.join('?' * len(columns))})", whole)
    on_hand = database.execute(f"SELECT sku, ? - sum(units) FROM ({_SOLD_AND_RETURNED}) GROUP BY sku", (opening,))
    orders, pence = database.execute(
        f"""
        SELECT sum((lines + {LINES_AN_ORDER} - 1) / {LINES_AN_ORDER}), sum(pence)
        FROM (SELECT count(*) AS lines, sum(units * pence) AS pence FROM ({_SOLD_AND_RETURNED}) WHERE units > 0
              GROUP BY invoice)
        """
    ).fetchone()
    return dict(on_hand.fetchall()), orders or 0, pence or 0
