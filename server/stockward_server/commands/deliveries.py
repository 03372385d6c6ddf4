"""`stockward deliveries`: what was sent to which endpoint, what was not, and how to send it again."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from stockward.webhook.v1 import webhook_pb2 as pb

from stockward_server.commands.options import group
from stockward_server.commands.output import note
from stockward_server.commands.parsers import choice, moment, timestamp
from stockward_server.commands.rpc_command import EndpointName, Limit, RequestId, command, first

if TYPE_CHECKING:
    from stockward_client import AsyncStockward

app = group("deliveries")

Answer = TypeVar("Answer", pb.RecoverDeliveriesResponse, pb.ReplayEventsResponse)

BATCH = 1000
"""Events that one call takes; what takes longer is reported from call to call."""

EventId = Annotated[str, typer.Argument(metavar="EVENT", help="Id of the event, its webhook-id.")]
Since = Annotated[datetime | None, typer.Option(parser=moment, metavar="TIME", help="Happened then or later.")]
Until = Annotated[datetime | None, typer.Option(parser=moment, metavar="TIME", help="Happened before then.")]
Types = Annotated[list[str] | None, typer.Option("--type", help="Only this type, such as order.created or 'order.*'.")]
Aggregate = Annotated[str, typer.Option(help="Only of this aggregate: an order id, or SKU@location for stock.")]


@command(app, "list")
async def list_deliveries(
    client: AsyncStockward,
    endpoint: Annotated[str, typer.Option(help="Only to this endpoint.")] = "",
    state: Annotated[Any, choice(pb.Delivery.State, "--state", help="Only in this state.")] = None,
    types: Types = None,
    aggregate: Aggregate = "",
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
) -> pb.ListDeliveriesResponse:
    """List deliveries, newest event first; `--state dead` lists the dead letters."""
    return await first(
        client.webhooks.list_deliveries(
            endpoint_id=endpoint,
            states=[state] if state else [],
            types=types or (),
            aggregate_id=aggregate,
            start_time=timestamp(since),
            end_time=timestamp(until),
        ),
        limit,
    )


@command(app, "show")
async def show(client: AsyncStockward, endpoint: EndpointName, event: EventId) -> pb.Delivery:
    """Show a delivery with all of its attempts."""
    return await client.webhooks.get_delivery(endpoint_id=endpoint, event_id=event)


@command(app, "retry")
async def retry(
    client: AsyncStockward, endpoint: EndpointName, event: EventId, *, request_id: RequestId
) -> pb.Delivery:
    """Send an event now, or again; earlier events of its aggregate go first."""
    return await client.webhooks.retry_delivery(endpoint_id=endpoint, event_id=event, request_id=request_id)


@command(app, "skip")
async def skip(client: AsyncStockward, endpoint: EndpointName, event: EventId, *, request_id: RequestId) -> pb.Delivery:
    """Skip an event, so that later events of its aggregate are sent."""
    return await client.webhooks.skip_delivery(endpoint_id=endpoint, event_id=event, request_id=request_id)


@command(app, "recover")
async def recover(
    client: AsyncStockward,
    endpoint: EndpointName,
    since: Annotated[datetime, typer.Option(parser=moment, metavar="TIME", help="Happened then or later.")],
    *,
    request_id: RequestId,
) -> pb.RecoverDeliveriesResponse:
    """Send the dead letters of an endpoint again."""
    recover_some = partial(
        client.webhooks.recover_deliveries, endpoint_id=endpoint, start_time=timestamp(since), limit=BATCH
    )
    return await _all(recover_some, request_id, "recovered")


@command(app, "replay")
async def replay(
    client: AsyncStockward,
    endpoint: EndpointName,
    since: Since = None,
    until: Until = None,
    types: Types = None,
    aggregate: Aggregate = "",
    *,
    request_id: RequestId,
) -> pb.ReplayEventsResponse:
    """Send recorded events to an endpoint, for the first time or again: those of its filter, or of --type."""
    replay_some = partial(
        client.webhooks.replay_events,
        endpoint_id=endpoint,
        start_time=timestamp(since),
        end_time=timestamp(until),
        types=types or (),
        aggregate_id=aggregate,
        limit=BATCH,
    )
    return await _all(replay_some, request_id, "replayed")


async def _all(call: Callable[..., Awaitable[Answer]], request_id: str, count: str) -> Answer:
    """Calls until nothing is left, and returns the answer with the total `count`. Each call has a request_id made from
    the first one's, so that all of it may be repeated."""
    total, cursor, call_id = 0, "", request_id
    while True:
        answer = await call(cursor=cursor, request_id=call_id)
        total += getattr(answer, count)
        setattr(answer, count, total)
        if not answer.next_cursor:
            return answer
        note(f"{total} {count} so far")
        cursor = answer.next_cursor
        call_id = str(uuid.uuid5(uuid.UUID(request_id), cursor))
