"""What `stockward events reconcile` does: finds the events that the record has lost, lists and settles them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import typer

from stockward_server.commands.output import note, printable
from stockward_server.observability.lost_events import published_since
from stockward_server.runtime.nats import nats_errors, open_nats
from stockward_server.storage.database import open_pool
from stockward_server.storage.events.lost_events import (
    Epoch,
    LostEvent,
    former_deliveries,
    former_events,
    record_lost,
    settle,
    unsettled_epochs,
    unsettled_events,
)

if TYPE_CHECKING:
    from stockward_server.config import Settings

STATEMENT_SECONDS = 600.0

MARGIN = timedelta(minutes=15)
"""How much earlier than the last common event the stream is read: clocks differ, and so does the order of commits."""

MAX_TEXT = 200
"""Characters of a name or a list of names."""

ALL = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Account:
    """What was lost and is not settled."""

    epochs: Sequence[Epoch]
    events: Sequence[LostEvent]
    delivered: Mapping[str, Sequence[str]]
    """By event id, the endpoints that accepted it, according to the former database."""
    read: int
    """Number of messages of the stream that were looked at."""

    @property
    def aggregates(self) -> Mapping[str, bool]:
        """The aggregates of the events, each with whether it is lost as a whole."""
        found: dict[str, bool] = {}
        for each in self.events:
            key = f"{each.type.partition('.')[0]} {each.aggregate_id}"
            found[key] = found.get(key, False) or each.type.endswith(".created")
        return found


async def reconcile(settings: Settings, former_url: str, settle_with: str | None) -> Account:
    """Looks for lost events in the stream, and in the former database where its URL is given; records them; settles
    them with a note, if there is one. Raises Unavailable or an error of the database."""
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(
            await open_pool(settings.database_url.get_secret_value(), 2, STATEMENT_SECONDS)
        )
        epochs = await unsettled_epochs(pool)
        times = [each.kept_time for each in epochs if each.kept_time]
        since = min(times) - MARGIN if times and len(times) == len(epochs) else ALL
        client = await stack.enter_async_context(
            open_nats(settings.event_queue_url.get_secret_value(), "stockward reconcile", lambda reason: None)
        )
        read = 0
        with nats_errors("the stream cannot be read"):
            stream = client.jetstream(prefix=settings.event_queue_api)
            async for published in published_since(stream, settings.stream_name, since):
                read += len(published)
                await record_lost(pool, published)
        former = None
        if former_url:
            former = await stack.enter_async_context(await open_pool(former_url, 1, STATEMENT_SECONDS, read_only=True))
            after = min((each.kept_seq for each in epochs), default=0)
            async for logged in former_events(former, after):
                await record_lost(pool, logged)
        events = await unsettled_events(pool)
        delivered = await former_deliveries(former, events) if former else {}
        if settle_with is not None:
            await settle(pool, epochs, events, settle_with)
    return Account(epochs, events, delivered, read)


def show(account: Account, *, settled: bool, as_json: bool) -> None:
    """Prints the account as JSON, or as a table and a summary."""
    if as_json:
        typer.echo(json.dumps(_document(account, settled), indent=2, default=_text))
        return
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(soft_wrap=True)
    for epoch in account.epochs:
        where = f"seq {epoch.kept_seq}" + (f" of {_text(epoch.kept_time)}" if epoch.kept_time else "")
        console.print(f"Epoch {epoch.number} began at {_text(epoch.begin_time)}; the record is common up to {where}")
    if account.events:
        table = Table("Time", "Type", "Aggregate", "Version", "Sent to", box=SIMPLE)
        for each in account.events:
            accepted = account.delivered.get(each.event_id)
            sent = ", ".join(accepted or (f"{name}?" for name in each.endpoints))
            cells = (_text(each.event_time), each.type, each.aggregate_id, str(each.version), sent)
            table.add_row(*(Text(printable(cell, MAX_TEXT)) for cell in cells))
        console.print(table)
    for what, is_whole in (("Lost as a whole", True), ("Without their last changes", False)):
        if names := [printable(name, MAX_TEXT) for name, lost in account.aggregates.items() if lost is is_whole]:
            console.print(Text(f"{what}, {len(names)}: {', '.join(names)}"))
    counted = f"{len(account.events)} lost events and {len(account.epochs)} epochs"
    if settled:
        console.print(f"✓ {counted} are settled", style="green")
    elif account.events or account.epochs:
        console.print(f"✗ {counted} are not settled", style="bold red")
        note("Once they are dealt with: stockward events reconcile --settle --note '…'")
    else:
        console.print(f"✓ The record has all of {account.read} messages of the stream", style="green")


def _document(account: Account, settled: bool) -> Mapping[str, object]:
    return {
        "epochs": [asdict(each) for each in account.epochs],
        "events": [{**asdict(each), "delivered_to": account.delivered.get(each.event_id)} for each in account.events],
        "lost_aggregates": [each for each, is_whole in account.aggregates.items() if is_whole],
        "changed_aggregates": [each for each, is_whole in account.aggregates.items() if not is_whole],
        "messages_read": account.read,
        "settled": settled,
    }


def _text(moment: object) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z") if isinstance(moment, datetime) else str(moment)
