"""How an order is shown with what happened to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text
from stockward.order.v1 import order_pb2 as pb

from stockward_server.commands.order_card import timeline_table
from stockward_server.commands.tables import console, show

SHOWN = 10
"""Entries of the timeline on the card: the newest."""


@dataclass(frozen=True, slots=True)
class OrderAnswer:
    """An order, and the entries of its timeline, oldest first."""

    order: pb.Order
    entries: Sequence[pb.OrderTimelineEntry]
    is_refused = False

    def show(self, *, as_json: bool) -> None:
        """Prints it as JSON, which is the order alone, or as a card with the newest entries."""
        show(self.order, as_json=as_json)
        if as_json or not self.entries:
            return
        printer = console()
        left_out = len(self.entries) - SHOWN
        printer.print(Text(f"\nTimeline{f', without the first {left_out}' if left_out > 0 else ''}", "bold"))
        printer.print(timeline_table(self.entries[-SHOWN:]))
