"""What a command prints of a refusal: its message, and the faults that the message leaves out."""

from __future__ import annotations

import pytest

from stockward_client import FieldViolation, InvalidArgument, StockwardError
from stockward_server.commands.connection import describe

QUANTITY = FieldViolation("lines[0].quantity", "must be at least 1")
SKU = FieldViolation("lines[1].sku", "must not be empty")
SAME = FieldViolation("lines[2].quantity", "must be at least 1")

REFUSALS = {
    "a field": (
        InvalidArgument("lines[0].quantity must be at least 1", reason="INVALID_FIELD", violations=[QUANTITY]),
        ["lines[0].quantity must be at least 1 (INVALID_FIELD)"],
    ),
    "two fields": (
        InvalidArgument(
            "lines[0].quantity must be at least 1, and 2 more", reason="INVALID_FIELD", violations=[QUANTITY, SKU, SAME]
        ),
        [
            "lines[0].quantity must be at least 1, and 2 more (INVALID_FIELD)",
            "  lines[1].sku: must not be empty",
            "  lines[2].quantity: must be at least 1",
        ],
    ),
    "a field in the metadata": (
        StockwardError("no such location", reason="LOCATION_NOT_FOUND", metadata={"field": "location_id"}),
        ["no such location (LOCATION_NOT_FOUND)"],
    ),
    "none": (StockwardError("too many calls", reason="RATE_LIMITED"), ["too many calls (RATE_LIMITED)"]),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_no_fault_is_printed_twice(name: str) -> None:
    error, lines = REFUSALS[name]
    assert describe(error).splitlines() == lines
