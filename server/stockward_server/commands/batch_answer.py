"""How the results of a batch are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from google.rpc import error_details_pb2
from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text
from stockward.order.v1 import order_pb2 as pb

from stockward_server.commands.cells import LONGEST, STYLES
from stockward_server.commands.output import printable
from stockward_server.commands.parsers import word_of
from stockward_server.commands.tables import console, show


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """The answer to a batch, and the names of its orders as they were typed."""

    message: Any
    names: Sequence[str]

    @property
    def is_refused(self) -> bool:
        """Whether a part of it was refused."""
        return any(result.HasField("error") for result in self.message.results)

    @property
    def done(self) -> list[str]:
        """The names of the orders that were changed."""
        pairs = zip(self.names, self.message.results, strict=True)
        return [name for name, result in pairs if result.HasField("order")]

    def show(self, *, as_json: bool) -> None:
        """Prints it as JSON, or a row for each order: its name, and its state or why it was refused."""
        if as_json:
            show(self.message, as_json=True)
            return
        table = Table(box=SIMPLE)
        for title in ("Order", "Result"):
            table.add_column(title, overflow="fold", no_wrap=title == "Order")
        for name, result in zip(self.names, self.message.results, strict=True):
            table.add_row(Text(printable(name, LONGEST)), _outcome(result))
        console().print(table)


def _outcome(result: pb.BatchOrderResult) -> Text:
    if result.HasField("order"):
        state = word_of(pb.Order.State.DESCRIPTOR, result.order.state)
        return Text(state, STYLES.get(state, ""))
    reason = error_details_pb2.ErrorInfo()
    for detail in result.error.details:
        detail.Unpack(reason)
    return Text(f"✗ {printable(result.error.message, LONGEST)} ({reason.reason})", "red")
