"""`stockward events`: publish recorded events again, and watch them as they come."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from stockward_server.commands.options import AsJson
from stockward_server.config import load_settings

if TYPE_CHECKING:
    from stockward.event.v1.event_pb2 import Event

    from stockward_server.storage.event_log import Selection

app = typer.Typer(name="events", help="Publish events again, and watch them as they come.", no_args_is_help=True)

STATEMENT_SECONDS = 600.0


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("expected a date or time such as 2026-11-22 or 2026-11-22T17:00:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


Since = Annotated[datetime | None, typer.Option(parser=_moment, metavar="TIME", help="Recorded then or later (UTC).")]
Until = Annotated[datetime | None, typer.Option(parser=_moment, metavar="TIME", help="Recorded before then.")]
Types = Annotated[list[str] | None, typer.Option("--type", help="Only this type, such as order.created or 'order.*'.")]
Aggregate = Annotated[str, typer.Option(help="Only of this aggregate: an order id, or SKU@location for stock.")]


@app.command()
def republish(
    since: Since = None,
    until: Until = None,
    types: Types = None,
    aggregate: Aggregate = "",
    everything: Annotated[bool, typer.Option("--all", help="All events that are kept.")] = False,
    as_json: AsJson = False,
) -> None:
    """Put events back into the outbox: the relay publishes them again.

    Refills a stream that was lost. Events that the stream has already are not stored twice while it remembers them
    (10 minutes); after that its subscribers see them again.
    """
    if not (since or until or types or aggregate or everything):
        raise typer.BadParameter("say which events: --since, --until, --type, --aggregate, or --all")
    from stockward_server.storage.event_log import Selection

    count = asyncio.run(_republish(Selection(since, until, types or (), aggregate), quiet=as_json))
    if as_json:
        typer.echo(json.dumps({"republished": count}))
    else:
        typer.echo(f"✓ {count} events are back in the outbox")


async def _republish(selection: Selection, *, quiet: bool) -> int:
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from stockward_server.storage.database import is_database_down, open_pool
    from stockward_server.storage.event_log import republish

    columns = (SpinnerColumn(), TextColumn("{task.completed} events put back"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet, transient=True) as progress:
        task = progress.add_task("", total=None)
        try:
            pool = await open_pool(load_settings().database_url.get_secret_value(), 2, STATEMENT_SECONDS)
            async with pool:
                count = await republish(pool, selection, lambda count: progress.update(task, completed=count))
        except Exception as error:
            if not is_database_down(error):
                raise
            from stockward_server.commands.connection import fail

            fail(f"The database cannot be reached: {error}. What was put back stays so; run the command again.")
    return count


@app.command()
def tail(
    types: Types = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print each event as a line of JSON.")] = False,
) -> None:
    """Print events as they are published, until Ctrl-C."""
    asyncio.run(_tail(types or [], as_json=as_json))


async def _tail(types: list[str], *, as_json: bool) -> None:
    import nats
    import nats.errors
    from nats.js.api import ConsumerConfig, DeliverPolicy
    from rich.console import Console
    from stockward.event.v1.event_pb2 import Event

    async def ignore(_: Exception) -> None: ...

    settings = load_settings()
    try:
        servers = settings.event_queue_url.get_secret_value().split(",")
        client = await nats.connect(servers, max_reconnect_attempts=3, reconnect_time_wait=1, error_cb=ignore)
        subscription = await client.jetstream().subscribe(
            "stockward.v1.>",
            stream=settings.stream_name,
            ordered_consumer=True,
            config=ConsumerConfig(deliver_policy=DeliverPolicy.NEW),
        )
    except (nats.errors.Error, OSError) as error:
        from stockward_server.commands.connection import fail

        fail(f"The events cannot be watched: {error}")
    Console(stderr=True).print(f"Watching {settings.stream_name}; Ctrl-C ends it", style="dim")
    async for message in subscription.messages:
        event = Event.FromString(message.data)
        if not types or {event.type, event.type.partition(".")[0] + ".*"} & set(types):
            _show(event, as_json=as_json)


def _show(event: Event, *, as_json: bool) -> None:
    from google.protobuf.json_format import MessageToJson
    from rich.console import Console
    from rich.text import Text

    if as_json:
        typer.echo(MessageToJson(event, indent=None))
        return
    time = event.time.ToDatetime(UTC).strftime("%H:%M:%S.%f")[:-3]
    line = Text(f"{time}  ", "dim")
    line.append(f"{event.type:<26} ", "cyan").append(f"{event.aggregate_id} ", "default")
    line.append(f"v{event.aggregate_version}")
    Console(soft_wrap=True).print(line)
