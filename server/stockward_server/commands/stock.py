"""`stockward stock`: what there is, who has a claim on it, and what changed it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from stockward.inventory.v1 import inventory_pb2 as pb

from stockward_server.commands.options import EPILOG, Address, AsJson, Delimiter, Encoding, Key, group
from stockward_server.commands.output import working
from stockward_server.commands.parsers import UNITS, choice, counted, moment, timestamp, whole
from stockward_server.commands.rpc_command import (
    Limit,
    Location,
    OnlyLocation,
    OnlySku,
    RequestId,
    Sku,
    command,
    complete_skus,
    first,
)

if TYPE_CHECKING:
    from stockward_client import AsyncStockward

app = group("stock")

Units = Annotated[int, typer.Argument(parser=whole(0), metavar="UNITS", help="Units.")]
Expected = Annotated[
    int | None, typer.Option(parser=whole(0), metavar="UNITS", help="Only if so many are on hand now.")
]
Note = Annotated[str, typer.Option(help="For people.")]
Reference = Annotated[str, typer.Option(help="A delivery note, a count sheet, anything to find it by.")]


@command(app, "list")
async def list_levels(
    client: AsyncStockward,
    search: Annotated[str, typer.Argument(help="Words or parts of title, SKUs, barcodes, vendor, tags …")] = "",
    sku: OnlySku = "",
    location: OnlyLocation = "",
    alert: Annotated[Any, choice(pb.StockAlert.Level, "--alert", help="Only with this alert.")] = None,
    vendor: Annotated[str, typer.Option(help="Only of this vendor.")] = "",
    tag: Annotated[str, typer.Option(help="Only with this tag.")] = "",
    below: Annotated[
        int | None, typer.Option(parser=whole(-UNITS), metavar="UNITS", help="Only where fewer are available.")
    ] = None,
    unstocked: Annotated[bool, typer.Option("--all", help="SKUs that were never stocked, too.")] = False,
    order_by: Annotated[str, typer.Option(help="sku or available, each with ' desc' too.")] = "",
    limit: Limit = 50,
) -> pb.ListStockLevelsResponse:
    """List the counters of each SKU and location, or of those that a search of products finds."""
    return await first(
        client.inventory.list_stock_levels(
            sku=sku,
            location_id=location,
            alert_levels=[alert] if alert else [],
            search=search,
            vendor=vendor,
            tag=tag,
            available_below=below,
            order_by=order_by,
            include_unstocked=unstocked,
        ),
        limit,
    )


@command(app, "show")
async def explain(client: AsyncStockward, sku: Sku) -> pb.ExplainAvailabilityResponse:
    """Show the counters of a SKU, and which reservation or order owns each unit that is not available."""
    return await client.inventory.explain_availability(sku=sku)


@command(app, "adjust", ignore_unknown_options=True)  # -3 is an argument
async def adjust(
    client: AsyncStockward,
    sku: Sku,
    delta: Annotated[
        int, typer.Argument(parser=whole(-UNITS), metavar="UNITS", help="Units to add; below zero: to take away.")
    ],
    reason: Annotated[Any, choice(pb.AdjustmentReason, "--reason", help="Why.")],
    location: Location = "",
    expected: Expected = None,
    note: Note = "",
    reference: Reference = "",
    *,
    request_id: RequestId,
) -> pb.StockLevel:
    """Add units to what is on hand, or take them away."""
    return await client.inventory.adjust_stock(
        sku=sku,
        location_id=location,
        delta=delta,
        reason=reason,
        expected_on_hand=expected,
        note=note,
        reference=reference,
        request_id=request_id,
    )


@command(app, "receive")
async def receive(
    client: AsyncStockward,
    sku: Sku,
    units: Units,
    location: Location = "",
    note: Note = "",
    reference: Reference = "",
    *,
    request_id: RequestId,
) -> pb.StockLevel:
    """Add received units to what is on hand."""
    return await adjust(
        client, sku, units, pb.ADJUSTMENT_REASON_RECEIVED, location, None, note, reference, request_id=request_id
    )


@command(app, "count")
async def count(
    client: AsyncStockward,
    sku: Sku,
    units: Units,
    location: Location = "",
    expected: Expected = None,
    note: Note = "",
    reference: Reference = "",
    *,
    request_id: RequestId,
) -> pb.StockLevel:
    """Set what is on hand to what was counted."""
    return await client.inventory.adjust_stock(
        sku=sku,
        location_id=location,
        on_hand=units,
        reason=pb.ADJUSTMENT_REASON_COUNTED,
        expected_on_hand=expected,
        note=note,
        reference=reference,
        request_id=request_id,
    )


@command(app, "alerts")
async def alerts(
    client: AsyncStockward,
    sku: OnlySku = "",
    cleared: Annotated[bool, typer.Option("--all", help="Cleared ones, too.")] = False,
    limit: Limit = 50,
) -> pb.ListStockAlertsResponse:
    """List alerts on low, depleted and short stock, newest first."""
    return await first(client.inventory.list_stock_alerts(sku=sku, include_cleared=cleared), limit)


@command(app, "history")
async def history(
    client: AsyncStockward,
    sku: OnlySku = "",
    location: OnlyLocation = "",
    kind: Annotated[Any, choice(pb.StockMovement.Kind, "--kind", help="Only this kind.")] = None,
    reference: Annotated[str, typer.Option(help="Only of this order, reservation or reference.")] = "",
    since: Annotated[datetime | None, typer.Option(parser=moment, metavar="TIME", help="Then or later.")] = None,
    until: Annotated[datetime | None, typer.Option(parser=moment, metavar="TIME", help="Before then.")] = None,
    limit: Limit = 50,
) -> pb.ListStockMovementsResponse:
    """List the movement ledger, newest first."""
    return await first(
        client.inventory.list_stock_movements(
            sku=sku,
            location_id=location,
            kind=kind,
            reference=reference,
            start_time=timestamp(since),
            end_time=timestamp(until),
        ),
        limit,
    )


@command(app, "counters")
async def counters(
    client: AsyncStockward,
    sku: Sku,
    location: OnlyLocation = "",
    every: Annotated[
        Any, choice(pb.ReadStockHistoryRequest.Interval, "--every", help="Distance between the moments.")
    ] = None,
    since: Annotated[
        datetime | None, typer.Option(parser=moment, metavar="TIME", help="First moment, with --every.")
    ] = None,
    at: Annotated[
        datetime | None, typer.Option(parser=moment, metavar="TIME", help="Last moment, or the only.")
    ] = None,
) -> pb.ReadStockHistoryResponse:
    """Show the counters of a SKU as they were, at a time or every hour, day or week."""
    return await client.inventory.read_stock_history(
        sku=sku, location_id=location, interval=every, start_time=timestamp(since), end_time=timestamp(at)
    )


@command(app, "policy")
async def policy(
    client: AsyncStockward,
    sku: Sku,
    safety_stock: Annotated[
        int | None, typer.Option(parser=whole(0), metavar="UNITS", help="Units that are never offered.")
    ] = None,
    reorder_point: Annotated[
        int | None, typer.Option(parser=whole(0), metavar="UNITS", help="Alert when available falls to this.")
    ] = None,
    no_reorder_point: Annotated[bool, typer.Option("--no-reorder-point", help="Alert at zero only.")] = False,
    backorder_limit: Annotated[
        int | None, typer.Option(parser=whole(0), metavar="UNITS", help="Units to promise beyond what there is.")
    ] = None,
    location: Location = "",
    etag: Annotated[str, typer.Option(help="Only if it is as it was: `policyEtag` of `stock list --json`.")] = "",
    *,
    request_id: RequestId,
) -> pb.StockLevel:
    """Set reorder point, safety stock and backorder limit; what is not given stays."""
    values = {"safety_stock": safety_stock, "reorder_point": reorder_point, "backorder_limit": backorder_limit}
    named = {name: value for name, value in values.items() if value is not None}
    mask = [*named, "reorder_point"] if no_reorder_point else [*named]
    if not mask or (no_reorder_point and reorder_point is not None):
        raise typer.BadParameter("say what to set: --safety-stock, --reorder-point or not, --backorder-limit")
    return await client.inventory.set_stock_policy(
        sku=sku,
        location_id=location,
        update_mask=FieldMask(paths=mask),
        etag=etag,
        request_id=request_id,
        **named,
    )


@command(app, "holds")
async def holds(
    client: AsyncStockward,
    sku: OnlySku = "",
    customer: Annotated[str, typer.Option(help="Only of this customer.")] = "",
    state: Annotated[Any, choice(pb.Reservation.State, "--state", help="Only in this state.")] = None,
    limit: Limit = 50,
) -> pb.ListReservationsResponse:
    """List reservations, newest first."""
    return await first(client.inventory.list_reservations(sku=sku, customer_id=customer, state=state), limit)


@command(app, "reserve", next_step="Order it: stockward orders create --reservation {answer.reservation_id}")
async def reserve(
    client: AsyncStockward,
    lines: Annotated[list[str], typer.Argument(metavar="SKU=UNITS ...", autocompletion=complete_skus)],
    minutes: Annotated[
        int | None, typer.Option(parser=whole(1, 1_000_000), help="How long.", show_default="the server's setting")
    ] = None,
    customer: Annotated[str, typer.Option(help="The shop's name for the customer.")] = "",
    *,
    request_id: RequestId,
) -> pb.Reservation:
    """Reserve units for a customer for a while: all lines or none."""
    return await client.inventory.reserve_stock(
        lines=[pb.StockLine(sku=sku, quantity=units) for sku, units in map(counted, lines)],
        ttl=Duration(seconds=minutes * 60) if minutes else None,
        customer_id=customer,
        request_id=request_id,
    )


@command(app, "release")
async def release(
    client: AsyncStockward,
    reservation: Annotated[str, typer.Argument(metavar="RESERVATION", help="Id of the reservation.")],
    *,
    request_id: RequestId,
) -> pb.Reservation:
    """Release a reservation."""
    return await client.inventory.release_reservation(reservation_id=reservation, request_id=request_id)


@command(app, "locations")
async def locations(client: AsyncStockward, limit: Limit = 50) -> pb.ListLocationsResponse:
    """List the locations by priority."""
    return await first(client.inventory.list_locations(), limit)


@app.command(epilog=EPILOG)
def sync(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV; - reads stdin.", allow_dash=True)],
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    reason: Annotated[Any, choice(pb.AdjustmentReason, "--reason", help="Why.  [default: counted]")] = None,
    reference: Annotated[str, typer.Option(help="Anything to find it by.", show_default="the file's name")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Have the server say what would change, and write nothing.")
    ] = False,
    *,
    request_id: RequestId,
    address: Address = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Set or change the stock of many SKUs from a CSV file; rows that are refused do not stop the others.

    Its header names the columns: sku; on_hand (units that there are) or delta (units to add); and, where wanted,
    location_id and expected_on_hand. Exit code 1 when some rows were refused: the report says which, and why.
    """
    from stockward_server.commands.connection import WRONG_USAGE, fail, run_call
    from stockward_server.commands.csv_file import FileUnreadable
    from stockward_server.commands.stock_sync import StockSync, read_rows

    try:
        with working(f"Reading {file}"):
            found = read_rows(file, delimiter=delimiter, encoding=encoding)
    except FileUnreadable as error:
        fail(str(error), WRONG_USAGE)
    work = StockSync(str(file), *found, dry_run=dry_run)
    repetition = f"Run it again with --request-id {request_id}: what is done is not done twice"
    run_call(
        work.run(address, key, reason or pb.ADJUSTMENT_REASON_COUNTED, reference or file.name[:200], request_id),
        repetition,
    )
    work.report(as_json)
    raise typer.Exit(1 if work.refused else 0)
