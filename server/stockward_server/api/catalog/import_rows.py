"""The rows of an import, several at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

from stockward.catalog.v1 import catalog_pb2 as pb

from stockward_server.domain.errors import FieldInvalid, Refusal
from stockward_server.domain.names import handle_from
from stockward_server.wire.pages import Room

MAX_ROWS = 10_000
"""Rows of one stream."""

CONCURRENCY = 8
"""Rows under way at the same time."""


async def import_rows(
    rows: AsyncIterator[pb.ImportProductsRequest],
    import_row: Callable[[pb.ImportProductsRequest], Awaitable[pb.ImportResult]],
) -> list[pb.ImportResult]:
    """One result a row, in their order; a Refusal becomes the result of its row. What is wrong with the stream itself,
    such as a message that is too large, is raised when the rows before it are done.

    Rows run concurrently, but those that have a handle or a SKU in common one after another, as they came. No more is
    read from the stream than can be worked on.
    """
    places = asyncio.Semaphore(CONCURRENCY)
    room = Room()
    latest: dict[str, asyncio.Task[pb.ImportResult]] = {}
    tasks: list[asyncio.Task[pb.ImportResult]] = []

    async def run(row: pb.ImportProductsRequest, before: Iterable[asyncio.Task[pb.ImportResult]]) -> pb.ImportResult:
        try:
            await asyncio.gather(*before)
            return await import_row(row)
        except Refusal as refusal:
            return _refused(refusal, room)
        finally:
            places.release()

    surplus = 0
    broken: Refusal | None = None
    async with asyncio.TaskGroup() as group:
        try:
            async for row in rows:
                if len(tasks) == MAX_ROWS:
                    surplus += 1
                    continue
                keys = _keys(row.product)
                await places.acquire()
                task = group.create_task(run(row, {latest[key] for key in keys if key in latest}))
                latest.update(dict.fromkeys(keys, task))
                tasks.append(task)
        except Refusal as refusal:
            broken = refusal  # raised in here it would come out as a group of errors
    if broken:
        raise broken
    too_many = FieldInvalid("", f"only {MAX_ROWS} rows are read")
    return [task.result() for task in tasks] + [_refused(too_many, room) for _ in range(surplus)]


def _refused(refusal: Refusal, room: Room) -> pb.ImportResult:
    return pb.ImportResult(action=pb.ImportResult.ACTION_REFUSED, error=room.status_of(refusal))


def _keys(product: pb.Product) -> set[str]:
    """What a product may have in common with another row's."""
    handle = product.handle or handle_from(product.title)
    return {f"handle {handle}", *(f"sku {variant.sku}" for variant in product.variants)}
