"""What a month of the Online Retail data comes to, straight from the file: one SQL statement, no Stockward.

It shares nothing with the replay in `replay.py`, so that the two can check each other.
"""

from __future__ import annotations

import csv
import gzip
import sqlite3
from pathlib import Path

_SOLD_AND_RETURNED = """
    SELECT upper(StockCode) AS sku,
           CAST(Quantity AS INTEGER) AS units,
           CAST(round(UnitPrice * 100) AS INTEGER) AS pence,
           InvoiceNo
    FROM rows
    WHERE (StockCode GLOB '[0-9][0-9][0-9][0-9][0-9]*' OR StockCode GLOB 'DCGS*' OR StockCode GLOB 'gift_*')
      AND CAST(UnitPrice AS REAL) > 0
      AND CASE WHEN InvoiceNo GLOB 'C*' THEN CAST(Quantity AS INTEGER) < 0 ELSE CAST(Quantity AS INTEGER) > 0 END
"""


def count_month(file: Path, opening: int) -> tuple[dict[str, int], int, int]:
    """Units on hand by SKU at the end, when each began with `opening`; orders; and what they come to in pence."""
    database = sqlite3.connect(":memory:")
    with gzip.open(file, "rt", encoding="utf-8", newline="") as source:
        columns, *rows = csv.reader(source)
        database.execute(f"CREATE TABLE rows ({', '.join(columns)})")
        database.executemany(f"INSERT INTO rows VALUES ({', '.join('?' * len(columns))})", rows)
    on_hand = database.execute(f"SELECT sku, ? - sum(units) FROM ({_SOLD_AND_RETURNED}) GROUP BY sku", (opening,))
    sales = f"SELECT count(DISTINCT InvoiceNo), sum(units * pence) FROM ({_SOLD_AND_RETURNED}) WHERE units > 0"
    orders, pence = database.execute(sales).fetchone()
    return dict(on_hand.fetchall()), orders, pence
