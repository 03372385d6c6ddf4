"""`stockward events`: list and follow the event log, and publish events again."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from stockward.event.v1.event_pb2 import ListEventsResponse

from stockward_server.commands.options import EPILOG, Address, AsJson, Key, group
from stockward_server.commands.output import note
from stockward_server.commands.parsers import moment
from stockward_server.commands.rpc_command import Limit, command
from stockward_server.config import Use, load_settings
from stockward_server.domain.names import normal_name

if TYPE_CHECKING:
    from stockward.event.v1.event_pb2 import Event

    from stockward_client import AsyncStockward
    from stockward_server.storage.events.event_log import Selection

app = group("events")

STATEMENT_SECONDS = 600.0

FETCH_SECONDS = 5.0
"""How long NATS is asked for the next event before it is asked again."""

ROUND_SECONDS = 0.5
"""Pause of a follower that has read everything."""

NO_AGGREGATE = "-"
"""An aggregate that does not exist: a list of its events is empty, and its cursor is at the end of the record."""


Since = Annotated[datetime | None, typer.Option(parser=moment, metavar="TIME", help="Recorded then or later.")]
Until = Annotated[datetime | None, typer.Option(parser=moment, metavar="TIME", help="Recorded before then.")]
Types = Annotated[list[str] | None, typer.Option("--type", help="Only this type, such as order.created or 'order.*'.")]
Aggregate = Annotated[str, typer.Option(help="Only of this aggregate: an order id, or SKU@location for stock.")]
Cursor = Annotated[str, typer.Option(help="Go on after this one, which an earlier call ended with.")]
JsonLines = Annotated[bool, typer.Option("--json", help="Print each event as a line of JSON.")]


@command(app, "list")
async def list_events(
    client: AsyncStockward, types: Types = None, aggregate: Aggregate = "", cursor: Cursor = "", limit: Limit = 50
) -> ListEventsResponse:
    """List recorded events, oldest first, from the beginning or after a cursor."""
    answer = await client.events.list_events(types=types or (), aggregate_id=aggregate, cursor=cursor).first(limit)
    if not answer.caught_up:
        note(f"There are more: --cursor {answer.next_cursor}")
    return answer


@app.command(epilog=EPILOG)
def follow(
    types: Types = None,
    aggregate: Aggregate = "",
    cursor: Cursor = "",
    address: Address = None,
    key: Key = None,
    as_json: JsonLines = False,
) -> None:
    """Print events as they are recorded, from now on or after a cursor, until Ctrl-C. Nothing is missed.

    Asks the gRPC server, and waits for one that is away; `tail` listens to NATS.
    """
    from stockward_server.commands.connection import connected, run_call

    async def read() -> None:
        async with connected(address, key) as client:
            await _follow(client, types or (), aggregate, cursor, as_json)

    run_call(read())


async def _follow(client: AsyncStockward, types: Sequence[str], aggregate: str, cursor: str, as_json: bool) -> NoReturn:
    from stockward_server.commands.connection import NO_ANSWER

    if not cursor:
        cursor = (await client.events.list_events(aggregate_id=NO_AGGREGATE).first(1)).next_cursor
    note(f"Following from cursor {cursor}; Ctrl-C ends it")
    while True:
        with contextlib.suppress(*NO_ANSWER):
            async for page in client.events.list_events(types=types, aggregate_id=aggregate, cursor=cursor).pages():
                for event in page.events:
                    _show(event, as_json=as_json)
                cursor = page.next_cursor
        await asyncio.sleep(ROUND_SECONDS)


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
    from stockward_server.storage.events.event_log import Selection

    count = asyncio.run(_republish(Selection(since, until, types or (), normal_name(aggregate)), quiet=as_json))
    if as_json:
        typer.echo(json.dumps({"republished": count}))
    else:
        typer.echo(f"✓ {count} events are back in the outbox")


async def _republish(selection: Selection, *, quiet: bool) -> int:
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from stockward_server.storage.database import is_database_down, open_pool
    from stockward_server.storage.events.event_log import republish

    columns = (SpinnerColumn(), TextColumn("{task.completed} events put back"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet, transient=True) as progress:
        task = progress.add_task("", total=None)
        try:
            pool = await open_pool(load_settings(Use.DATABASE).database_url.get_secret_value(), 2, STATEMENT_SECONDS)
            async with pool:
                count = await republish(pool, selection, lambda count: progress.update(task, completed=count))
        except Exception as error:
            if not is_database_down(error):
                raise
            from stockward_server.commands.connection import UNREACHABLE, fail

            message = f"The database cannot be reached: {error}. What was put back stays so; run the command again."
            fail(message, UNREACHABLE)
    return count


@app.command("new-epoch")
def new_epoch(as_json: AsJson = False) -> None:
    """Begin a new epoch of the event log, which may have lost events: cursors beyond what is left are refused.

    Servers notice by themselves when the database was restored from a dump or from archived WAL, or failed over. Run
    this after a restore that they cannot see, such as that of a file system's snapshot.
    """
    kept = asyncio.run(_new_epoch())
    if as_json:
        typer.echo(json.dumps({"kept_seq": kept}))
    else:
        typer.echo(f"✓ a new epoch: the record is taken for common up to seq {kept}")


async def _new_epoch() -> int:
    from stockward_server.storage.database import is_database_down, open_pool
    from stockward_server.storage.log_epoch import begin_epoch

    try:
        url = load_settings().database_url.get_secret_value()
        async with await open_pool(url, 1, STATEMENT_SECONDS, read_only=True) as pool, pool.acquire() as connection:
            return await begin_epoch(connection)
    except Exception as error:
        if not is_database_down(error):
            raise
        from stockward_server.commands.connection import UNREACHABLE, fail

        fail(f"The database cannot be reached: {error}", UNREACHABLE)


@app.command()
def reconcile(
    settle: Annotated[bool, typer.Option("--settle", help="Record that what is listed was dealt with.")] = False,
    note: Annotated[str, typer.Option(help="What was done about it, kept with --settle.")] = "",
    former: Annotated[
        str,
        typer.Option(
            metavar="URL",
            help="The former database, if it can be read: for what was not published, and for deliveries.",
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """List the events that were published and that the record lacks, after a failover or a restore, and settle them.

    Reads the stream from where the record is common on, and writes down what it finds. Nothing is sent or deleted: say
    with --settle that everybody concerned knows, and `stockward doctor` and the alert are content.
    """
    from stockward_server.commands.reconcile import reconcile, show
    from stockward_server.runtime.supervision import Unavailable
    from stockward_server.storage.database import is_database_down

    try:
        account = asyncio.run(reconcile(load_settings(Use.RELAY), former, note if settle else None))
    except Exception as error:
        if not (isinstance(error, Unavailable) or is_database_down(error)):
            raise
        from stockward_server.commands.connection import UNREACHABLE, fail

        fail(f"Lost events cannot be looked for: {error}", UNREACHABLE)
    show(account, settled=settle, as_json=as_json)


@app.command()
def tail(
    types: Types = None,
    as_json: JsonLines = False,
) -> None:
    """Print events as they are published, until Ctrl-C."""
    asyncio.run(_tail(types or [], as_json=as_json))


async def _tail(types: list[str], *, as_json: bool) -> None:
    import nats
    import nats.errors
    from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
    from rich.console import Console
    from stockward.event.v1.event_pb2 import Event

    async def ignore(_: Exception) -> None: ...

    async def next_event() -> Event | None:
        try:
            (message,) = await subscription.fetch(1, timeout=FETCH_SECONDS)
        except TimeoutError:
            return None  # there was none
        return Event.FromString(message.data)

    settings = load_settings(Use.RELAY)
    try:
        servers = settings.event_queue_url.get_secret_value().split(",")
        client = await nats.connect(servers, max_reconnect_attempts=3, reconnect_time_wait=1, error_cb=ignore)
        stream = client.jetstream(prefix=settings.event_queue_api)
        subscription = await stream.pull_subscribe(
            "stockward.v1.>",
            stream=settings.stream_name,
            config=ConsumerConfig(deliver_policy=DeliverPolicy.NEW, ack_policy=AckPolicy.NONE, inactive_threshold=60),
        )
        Console(stderr=True).print(f"Watching {settings.stream_name}; Ctrl-C ends it", style="dim")
        while True:
            event = await next_event()
            if event and (not types or {event.type, event.type.partition(".")[0] + ".*"} & set(types)):
                _show(event, as_json=as_json)
    except (nats.errors.Error, OSError) as error:
        from stockward_server.commands.connection import UNREACHABLE, fail

        fail(f"The events cannot be watched: {error}", UNREACHABLE)


def _show(event: Event, *, as_json: bool) -> None:
    from google.protobuf.json_format import MessageToJson
    from rich.console import Console
    from rich.text import Text

    if as_json:
        typer.echo(MessageToJson(event, indent=None))
        return
    time = event.time.ToDatetime(UTC).astimezone().strftime("%H:%M:%S.%f")[:-3]
    line = Text(f"{time}  ", "dim")
    line.append(f"{event.type:<26} ", "cyan").append(f"{event.aggregate_id} ", "default")
    line.append(f"v{event.aggregate_version}")
    Console(soft_wrap=True).print(line)
