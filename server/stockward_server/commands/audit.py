"""`stockward audit`: whether the stock counters agree with the ledger and with the open claims."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from stockward_server.commands.options import EPILOG, Address, AsJson, Key

if TYPE_CHECKING:
    from stockward.inventory.v1.inventory_pb2 import VerifyStockResponse

FIELDS = ("sku", "location_id", "counter", "counted", "ledger", "claimed")

app = typer.Typer()


@app.command(epilog=EPILOG)
def audit(
    sku: Annotated[str, typer.Option(help="Only this stock keeping unit.", show_default="all")] = "",
    address: Address = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Compare the stock counters with the ledger and the open claims; exit code 1 when they differ."""
    from stockward_server.commands.connection import connected, run_call

    async def verify() -> VerifyStockResponse:
        async with connected(address, key) as client:
            return await client.inventory.verify_stock(sku=sku)

    answer = run_call(verify())
    if as_json:
        found = [{field: getattr(each, field) for field in FIELDS} for each in answer.discrepancies]
        typer.echo(json.dumps({"checked": answer.checked, "discrepancies": found}, indent=2))
    else:
        _show(answer)
    raise typer.Exit(1 if answer.discrepancies else 0)


def _show(answer: VerifyStockResponse) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    console = Console(soft_wrap=True)
    if not answer.discrepancies:
        console.print(f"✓ {answer.checked} stock rows: counters, ledger and open claims agree", style="green")
        return
    table = Table("SKU", "Location", "Counter", "Counted", "Ledger", "Claimed", box=SIMPLE)
    for each in answer.discrepancies:
        units = (str(each.counted), str(each.ledger), "" if each.counter == "on_hand" else str(each.claimed))
        table.add_row(each.sku, each.location_id, each.counter, *units)
    for column in table.columns[3:]:
        column.justify = "right"
    console.print(table)
    console.print(f"✗ {len(answer.discrepancies)} counters of {answer.checked} stock rows are wrong", style="bold red")
