"""`stockward webhooks`: who is notified of events, and with which secrets."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Annotated, Any

import typer
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from stockward.webhook.v1 import webhook_pb2 as pb

from stockward_server.commands.options import group
from stockward_server.commands.output import note
from stockward_server.commands.parsers import choice, number, pair, whole
from stockward_server.commands.rpc_command import EndpointName, RequestId, command, first
from stockward_server.commands.rpc_command import Limit as Rows

if TYPE_CHECKING:
    from stockward_client import AsyncStockward

app = group("webhooks")

PING_SECONDS = 20.0
"""How long `ping` waits for the outcome: a request may take 15 seconds."""

LOOK_SECONDS = 0.2

Url = Annotated[str, typer.Option(metavar="URL", help="Where events are POSTed.")]
Types = Annotated[
    list[str] | None, typer.Option("--type", help="An event type, all of an area with 'order.*', everything with '*'.")
]
Description = Annotated[str | None, typer.Option(help="What it is for.")]
Headers = Annotated[
    list[str] | None, typer.Option("--header", metavar="NAME=VALUE", help="Sent with every request; once for each.")
]
Rate = Annotated[
    float | None,
    typer.Option(parser=number(0, 1_000_000), metavar="RATE", help="Most requests a second; 0 for no limit."),
]
InFlight = Annotated[
    int | None, typer.Option(parser=whole(0, 1_000_000), metavar="REQUESTS", help="Most requests at the same time.")
]
MaxBody = Annotated[
    int | None, typer.Option("--max-body", parser=whole(0), metavar="BYTES", help="A larger event is sent thin.")
]
Kind = Annotated[Any, choice(pb.Endpoint.SecretKind, "--kind", help="How the secret signs.")]
Etag = Annotated[str, typer.Option(help="Only if it is as it was: `etag` of `webhooks show --json`.")]

RECEIVER = "Give the secret to the receiver now: it is not shown again"


@command(app, "list")
async def list_endpoints(client: AsyncStockward, limit: Rows = 50) -> pb.ListEndpointsResponse:
    """List endpoints, oldest first."""
    return await first(client.webhooks.list_endpoints(), limit)


@command(app, "show")
async def show(client: AsyncStockward, endpoint: EndpointName) -> pb.Endpoint:
    """Show an endpoint and its secrets, without the secrets themselves."""
    return await client.webhooks.get_endpoint(endpoint_id=endpoint)


@command(app, "create", next_step="Try it: stockward webhooks ping {answer.endpoint.endpoint_id}")
async def create(
    client: AsyncStockward,
    url: Annotated[str, typer.Argument(metavar="URL", help="Where events are POSTed.")],
    types: Types = None,
    description: Description = None,
    headers: Headers = None,
    rate: Rate = None,
    in_flight: InFlight = None,
    max_body: MaxBody = None,
    kind: Kind = None,
    *,
    request_id: RequestId,
) -> pb.CreateEndpointResponse:
    """Create an endpoint, which receives every event unless --type names some."""
    endpoint = _endpoint(url, types or ["*"], description, headers, rate, in_flight, max_body)
    answer = await client.webhooks.create_endpoint(endpoint=endpoint, secret_kind=kind, request_id=request_id)
    if answer.secret:
        note(RECEIVER)
    return answer


@command(app, "update")
async def update(
    client: AsyncStockward,
    endpoint: EndpointName,
    url: Url = "",
    types: Types = None,
    description: Description = None,
    headers: Headers = None,
    no_headers: Annotated[bool, typer.Option("--no-headers", help="Send none.")] = False,
    rate: Rate = None,
    in_flight: InFlight = None,
    max_body: MaxBody = None,
    etag: Etag = "",
    *,
    request_id: RequestId,
) -> pb.Endpoint:
    """Change what is given; types and headers are replaced as a whole."""
    given = {
        "url": url or None,
        "types": types,
        "description": description,
        "headers": headers or no_headers or None,
        "rate_limit": rate,
        "max_in_flight": in_flight,
        "max_body_bytes": max_body,
    }
    fields = [name for name, value in given.items() if value is not None]
    if not fields:
        raise typer.BadParameter("say what to change: --url, --type, --description, --header, --rate ...")
    changed = _endpoint(url, types, description, headers, rate, in_flight, max_body)
    changed.endpoint_id, changed.etag = endpoint, etag
    return await client.webhooks.update_endpoint(
        endpoint=changed, update_mask=FieldMask(paths=fields), request_id=request_id
    )


@command(app, "delete")
async def delete(
    client: AsyncStockward, endpoint: EndpointName, etag: Etag = "", *, request_id: RequestId
) -> pb.Endpoint:
    """Delete an endpoint; what was pending is not sent. The answer is the endpoint as it was."""
    return await client.webhooks.delete_endpoint(endpoint_id=endpoint, etag=etag, request_id=request_id)


@command(
    app, "enable", next_step="What happened meanwhile: stockward deliveries replay {answer.endpoint_id} --since TIME"
)
async def enable(client: AsyncStockward, endpoint: EndpointName, *, request_id: RequestId) -> pb.Endpoint:
    """Send to a disabled endpoint again, or at once to one that fails; what was pending goes on."""
    return await client.webhooks.enable_endpoint(endpoint_id=endpoint, request_id=request_id)


@command(app, "disable")
async def disable(
    client: AsyncStockward,
    endpoint: EndpointName,
    reason: Annotated[str, typer.Option(help="Why, for people.")] = "",
    *,
    request_id: RequestId,
) -> pb.Endpoint:
    """Stop sending to an endpoint; what is pending waits."""
    return await client.webhooks.disable_endpoint(endpoint_id=endpoint, reason=reason, request_id=request_id)


@command(app, "rotate")
async def rotate(
    client: AsyncStockward,
    endpoint: EndpointName,
    overlap: Annotated[
        float, typer.Option(parser=number(0, 720), metavar="HOURS", help="The old one signs as well.")
    ] = 24,
    kind: Kind = None,
    *,
    request_id: RequestId,
) -> pb.RotateSecretResponse:
    """Add a new secret. `webhooks expire` ends the overlap early."""
    answer = await client.webhooks.rotate_secret(
        endpoint_id=endpoint, overlap=Duration(seconds=round(overlap * 3600)), kind=kind, request_id=request_id
    )
    if answer.secret:
        note(RECEIVER)
    return answer


@command(app, "expire")
async def expire(client: AsyncStockward, endpoint: EndpointName, *, request_id: RequestId) -> pb.Endpoint:
    """Expire all secrets but the newest."""
    return await client.webhooks.expire_secrets(endpoint_id=endpoint, request_id=request_id)


@command(app, "ping")
async def ping(client: AsyncStockward, endpoint: EndpointName, *, request_id: RequestId) -> pb.Delivery:
    """Send a ping to an endpoint, and wait for the outcome of the first attempt."""
    from stockward_client import NotFound

    pinged = await client.webhooks.ping_endpoint(endpoint_id=endpoint, request_id=request_id)
    delivery = pb.Delivery(endpoint_id=endpoint, event_id=pinged.event_id, state=pb.Delivery.STATE_PENDING)
    deadline = asyncio.get_running_loop().time() + PING_SECONDS
    while not delivery.attempts and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(LOOK_SECONDS)
        with contextlib.suppress(NotFound):  # the gateway has not read the event yet
            delivery = await client.webhooks.get_delivery(endpoint_id=endpoint, event_id=pinged.event_id)
    if not delivery.attempts:
        note("No attempt was made yet: is a gateway running? Look again with `stockward deliveries show`")
    return delivery


def _endpoint(
    url: str,
    types: list[str] | None,
    description: str | None,
    headers: list[str] | None,
    rate: float | None,
    in_flight: int | None,
    max_body: int | None,
) -> pb.Endpoint:
    return pb.Endpoint(
        url=url,
        types=types or (),
        description=description or "",
        headers=dict(map(pair, headers or ())),
        rate_limit=rate or 0,
        max_in_flight=in_flight or 0,
        max_body_bytes=max_body or 0,
    )
