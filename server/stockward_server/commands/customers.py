"""`stockward customers`: export and erase what is stored about one customer.

They work on the database itself (DATABASE_URL), as `stockward keys` does.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.console import Console

from stockward_server.commands.on_database import on_database
from stockward_server.commands.options import EPILOG, AsJson, group
from stockward_server.commands.output import note

if TYPE_CHECKING:
    from stockward_server.storage.customers import Findings, SqlCustomers

app = group("customers")

CustomerId = Annotated[str, typer.Argument(metavar="CUSTOMER_ID", help="The shop's name for the customer.")]
Result = TypeVar("Result")

WORDS = {
    "orders": "orders that are over: name, e-mail, addresses, customer id",
    "events": "events about them: customer id",
    "reservations": "reservations that are over: customer id",
    "answers": "stored answers: all of it",
}


@app.command(epilog=EPILOG)
def export(customer_id: CustomerId) -> None:
    """Print everything that is stored about a customer, as one JSON document."""

    async def work(customers: SqlCustomers) -> dict[str, Any]:
        from google.protobuf.json_format import MessageToDict

        from stockward_server.api.inventory.messages import reservation_message
        from stockward_server.api.orders.messages import order_message

        return {
            "customerId": customer_id,
            "orders": [MessageToDict(order_message(each)) async for each in customers.orders(customer_id)],
            "reservations": [
                MessageToDict(reservation_message(each)) async for each in customers.reservations(customer_id)
            ],
        }

    typer.echo(json.dumps(_on_customers(customer_id, work), indent=2, ensure_ascii=False))


@app.command(epilog=EPILOG)
def erase(
    customer_id: CustomerId,
    yes: Annotated[bool, typer.Option("--yes", help="Erase; without this, only print what would be erased.")] = False,
    as_json: AsJson = False,
) -> None:
    """Erase a customer from orders that are over, their events and stored answers; the ledger stays as it is.

    Orders that are still open keep their customer, who could not get the goods otherwise; they are named, and the exit
    code is 1: run it again when they are over.
    """

    async def work(customers: SqlCustomers) -> Findings:
        if not yes:
            return await customers.look(customer_id)
        with Console(stderr=True).status("Erasing") as status:
            return await customers.erase(
                customer_id, lambda so_far: status.update(f"Erasing: {so_far.orders} orders, {so_far.answers} answers")
            )

    findings = _on_customers(customer_id, work)
    if as_json:
        typer.echo(json.dumps({"customer_id": customer_id, "erased": yes, **asdict(findings)}, indent=2))
    else:
        _show(findings, yes)
    raise typer.Exit(1 if findings.open_orders or findings.open_reservations else 0)


def _show(findings: Findings, erased: bool) -> None:
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table("Erased" if erased else "Would be erased", "In", box=SIMPLE)
    table.columns[0].justify = "right"
    for name, words in WORDS.items():
        table.add_row(str(getattr(findings, name)), words)
    Console().print(table)
    for kind, ids in (("order", findings.open_orders), ("reservation", findings.open_reservations)):
        for each in ids:
            note(f"{kind} {each} is open and keeps its customer: run this again when it is over")
    if not erased:
        note("Nothing was changed: --yes does it")


def _on_customers(customer_id: str, work: Callable[[SqlCustomers], Awaitable[Result]]) -> Result:
    from stockward_server.bootstrap.database import opened_customers

    if not customer_id:
        raise typer.BadParameter("a customer's id is not empty")
    return on_database(opened_customers, work)
