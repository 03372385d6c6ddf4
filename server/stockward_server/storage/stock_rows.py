"""Converts rows of stock, for the read path and the write path."""

from __future__ import annotations

from asyncpg import Record

from stockward_server.domain.stock import AlertLevel, StockLevel


def available_of(stock: str) -> str:
    """Returns an expression for `StockLevel.available` of a row of stock: units, negative when more is promised."""
    return f"({stock}.on_hand - {stock}.reserved - {stock}.allocated - {stock}.safety_stock)"


def stock_level(row: Record) -> StockLevel:
    """Returns the level of a stock row that is joined with its location's priority and activity."""
    return StockLevel(
        row["sku"],
        row["location_id"],
        row["on_hand"],
        row["reserved"],
        row["allocated"],
        row["safety_stock"],
        row["reorder_point"],
        row["backorder_limit"],
        AlertLevel(row["alert_level"]),
        row["version"],
        row["update_time"],
        row["priority"],
        row["active"],
    )
