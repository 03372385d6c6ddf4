"""One verb for several orders."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import typer
from google.protobuf.message import Message
from stockward.order.v1 import order_pb2 as pb

from stockward_server.commands.batch_answer import BatchAnswer
from stockward_server.commands.rpc_command import order_id

if TYPE_CHECKING:
    from stockward_client import AsyncStockward

MAX_ORDERS = 500
"""Orders of one call."""

RESOLVED_AT_ONCE = 16
"""Names that are looked up at the same time."""

Request = TypeVar("Request", bound=Message)


async def change_orders(
    client: AsyncStockward,
    names: Sequence[str],
    request: Callable[[str, str], Request],
    one: Callable[[Request], Coroutine[Any, Any, pb.Order]],
    many: Callable[[Sequence[Request]], Coroutine[Any, Any, Message]],
    request_id: str,
) -> pb.Order | BatchAnswer:
    """Changes one order, or each of several. `request` makes the request of an order from its id and a request_id."""
    names = list(dict.fromkeys(names))
    if len(names) > MAX_ORDERS:
        raise typer.BadParameter(f"{len(names)} orders at once; at most {MAX_ORDERS}")
    if len(names) == 1:
        return await one(request(await order_id(client, names[0]), request_id))
    places = asyncio.Semaphore(RESOLVED_AT_ONCE)

    async def resolved(name: str) -> str:
        async with places:
            return await order_id(client, name)

    ids = await asyncio.gather(*map(resolved, names))
    # A repetition with the same --request-id does nothing twice, whatever else it names.
    requests = [request(each, str(uuid.uuid5(uuid.UUID(request_id), each))) for each in ids]
    return BatchAnswer(await many(requests), names)


def only_for_one(names: Sequence[str], **options: object) -> None:
    """Raises typer.BadParameter for an option that says something about a single order when there are several."""
    for name, value in options.items():
        if value and len(names) > 1:
            raise typer.BadParameter(f"--{name} is for one order, and {len(names)} are named")
