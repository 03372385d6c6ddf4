"""How a command that calls the server is made: a function that returns the answer; the rest is the same for all.

    @command(app, "show")
    async def show(client: AsyncStockward, order: OrderName) -> Order:
        return await client.orders.get_order(...)

adds `show ORDER` with --address, --key and --json, which prints the answer and ends with the exit codes of
`connection`.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import io
import re
import shlex
import uuid
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar, get_type_hints

import typer
from google.protobuf.message import Message
from stockward.catalog.v1.catalog_pb2 import Product
from stockward.order.v1.order_pb2 import Order

from stockward_server.commands.batch_answer import BatchAnswer
from stockward_server.commands.options import EPILOG, Address, AsCsv, AsJson, Key
from stockward_server.commands.order_answer import OrderAnswer
from stockward_server.commands.order_card import next_step as order_step
from stockward_server.commands.output import note, printable
from stockward_server.commands.parsers import identifier, whole
from stockward_server.commands.tables import is_listing, show
from stockward_server.domain.names import handle_fault, normal_name, sku_fault

if TYPE_CHECKING:
    from stockward_client import AsyncPages, AsyncStockward

NAMESAKES = 50
"""Rows that a name is looked for in."""

COMPLETED = 1000
"""Rows whose names are offered to a shell."""

SPINNER_SECONDS = 1.0
"""Seconds after which a command says that it still waits."""

REPEAT = "Whether it was done is not known: repeat it with --request-id {}, which does nothing twice"
"""What a change says that got no answer."""

COMPLETION_SECONDS = 2.0
"""Longest that a shell waits for names to complete."""

PRODUCT_ID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

ID_BEGINNING = re.compile("[0-9a-f-]{6,36}", re.IGNORECASE)
"""What may be the beginning of an order's id."""

EVERY_STATE = [number for number in Product.State.values() if number]

Listing = TypeVar("Listing", bound=Message)
Answer = TypeVar("Answer")
Work = TypeVar("Work", bound=Callable[..., Coroutine[Any, Any, Message | BatchAnswer | OrderAnswer]])


def command(app: typer.Typer, verb: str, next_step: str = "", **settings: Any) -> Callable[[Work], Work]:
    """Adds the decorated function to `app`. `next_step` is a hint for people, with fields of the `{answer}`, or with
    the orders of a batch that are `{done}`; what is next for a single order its state says."""

    def add(work: Work) -> Work:
        hints = get_type_hints(work, localns={"AsyncStockward": object}, include_extras=True)
        _, *own = inspect.signature(work).parameters.values()
        shared = [
            inspect.Parameter("address", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Address),
            inspect.Parameter("key", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Key),
            inspect.Parameter("as_json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=AsJson),
        ]
        if is_listing(getattr(hints["return"], "__name__", "")):
            shared.append(inspect.Parameter("as_csv", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=AsCsv))
        parameters = [each.replace(annotation=hints[each.name]) for each in own] + shared

        def run(*, address: str | None, key: str | None, as_json: bool, as_csv: bool = False, **options: Any) -> None:
            from stockward_server.commands.connection import REFUSED, connected, run_call

            async def ask() -> Message | BatchAnswer | OrderAnswer:
                async with connected(address, key) as client:
                    return await _with_spinner(work(client, **options))

            if as_json and as_csv:
                raise typer.BadParameter("--json or --csv, not both")
            request_id = options.get("request_id")
            answer = run_call(ask(), REPEAT.format(request_id) if request_id else "")
            if isinstance(answer, Message):
                show(answer, as_json=as_json, as_csv=as_csv)
            else:
                answer.show(as_json=as_json)
            if not (as_json or as_csv):
                note(_hint(next_step, answer, options))
            if not isinstance(answer, Message) and answer.is_refused:
                raise typer.Exit(REFUSED)

        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        run.__doc__ = work.__doc__
        app.command(verb, epilog=EPILOG, context_settings=settings)(run)
        return work

    return add


def _hint(step: str, answer: Any, options: Mapping[str, Any]) -> str:
    """Returns what to do next, in the words that were typed: of an order what its state says, else what `step` says."""
    if isinstance(answer, OrderAnswer):
        answer = answer.order
    if isinstance(answer, Order):
        names = options.get("orders") or [options.get("order") or answer.reference or answer.order_id]
        return order_step(answer, names[0])
    if isinstance(answer, BatchAnswer):
        return step.format(done=shlex.join(answer.done)) if answer.done else ""
    return step.format(answer=answer)


async def first(listed: AsyncPages[Listing, Any], limit: int) -> Listing:
    """Returns the first `limit` rows as one response, and notes on stderr where there are more."""
    answer: Any = await listed.first(limit)
    if answer.next_page_token:
        note(f"There are more than these {limit}: --limit says how many to show")
    rows: Listing = answer
    return rows


async def product_id(client: AsyncStockward, name: str) -> str:
    """Returns the id of the product with this id, handle or SKU, in any state. An id goes before a handle or SKU."""
    name = normal_name(name)
    lists = []
    if name and not handle_fault(name):
        lists.append(client.catalog.list_products(handle=name, states=EVERY_STATE))
    if name and not sku_fault(name):
        lists.append(client.catalog.list_products(sku=name, states=EVERY_STATE))
    answers = await asyncio.gather(*(each.first(NAMESAKES) for each in lists))
    ids = dict.fromkeys(product.product_id for answer in answers for product in answer.products)
    if PRODUCT_ID.fullmatch(name) and (not ids or await _is_product(client, name)):
        return name
    if not ids:
        _fail(f"No product has the id, handle or SKU {printable(name)} (PRODUCT_NOT_FOUND)")
    if len(ids) > 1:
        _fail(f"{name} is the handle of one product and a SKU of another; name it by its id: {', '.join(ids)}")
    return next(iter(ids))


async def _is_product(client: AsyncStockward, product_id: str) -> bool:
    from stockward_client import NotFound

    try:
        await client.catalog.get_product(product_id=product_id)
    except NotFound:
        return False
    return True


async def order_id(client: AsyncStockward, name: str) -> str:
    """Returns the id of the order with this reference, or this id, or the only one whose id begins with this."""
    ids = [each.order_id for each in (await client.orders.list_orders(reference=name).first(NAMESAKES)).orders]
    if len(ids) > 1:
        _fail(f"{len(ids)} orders have the reference {name}; name one by its id: {', '.join(ids)}")
    if not ids and _is_uuid(name):
        return name
    if not ids and ID_BEGINNING.fullmatch(name):
        found = (await client.orders.list_orders(search=name).first(NAMESAKES)).orders
        ids = [each.order_id for each in found if each.order_id.startswith(name.lower())]
        if len(ids) > 1:
            _fail(f"The ids of {len(ids)} orders begin with {name}; type more of one: {', '.join(ids)}")
    if not ids:
        _fail(f"No order has the reference or id {printable(name)} (ORDER_NOT_FOUND)")
    return ids[0]


def _fail(message: str) -> NoReturn:
    from stockward_server.commands.connection import fail

    fail(message)


def _is_uuid(text: str) -> bool:
    try:
        return bool(uuid.UUID(text))
    except ValueError:
        return False


async def _with_spinner(work: Coroutine[Any, Any, Answer]) -> Answer:
    """Returns the answer; shows on a terminal that it waits when it takes a while."""
    from rich.console import Console

    task = asyncio.ensure_future(work)
    await asyncio.wait({task}, timeout=SPINNER_SECONDS)
    terminal = Console(stderr=True)
    waiting = terminal.is_terminal and not task.done()
    with terminal.status("Waiting for the server") if waiting else contextlib.nullcontext():
        return await task


# Names that a shell completes by asking the server.


def _completion(names: Callable[[AsyncStockward], Coroutine[Any, Any, list[tuple[str, str]]]]) -> Callable[..., Any]:
    def complete(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
        from stockward_client import StockwardError
        from stockward_server.commands.connection import connected

        async def ask() -> list[tuple[str, str]]:
            async with (
                asyncio.timeout(COMPLETION_SECONDS),
                connected(ctx.params.get("address"), ctx.params.get("key")) as client,
            ):
                return await names(client)

        with (
            contextlib.redirect_stderr(io.StringIO()),
            contextlib.suppress(typer.Exit, StockwardError, TimeoutError),
        ):
            return [each for each in asyncio.run(ask()) if each[0].startswith(incomplete)]
        return []

    return complete


async def _skus(client: AsyncStockward) -> list[tuple[str, str]]:
    answer = await client.catalog.list_products(states=EVERY_STATE).first(COMPLETED)
    return [(variant.sku, product.title) for product in answer.products for variant in product.variants]


async def _orders(client: AsyncStockward) -> list[tuple[str, str]]:
    orders = (await client.orders.list_orders().first(COMPLETED)).orders
    named = [(order.reference, order.order_id) for order in orders if order.reference]
    return named + [(order.order_id, order.reference) for order in orders]


async def _endpoints(client: AsyncStockward) -> list[tuple[str, str]]:
    endpoints = (await client.webhooks.list_endpoints().first(COMPLETED)).endpoints
    return [(each.endpoint_id, each.description or each.url) for each in endpoints]


complete_skus, complete_orders = _completion(_skus), _completion(_orders)
complete_endpoints = _completion(_endpoints)

ProductName = Annotated[
    str,
    typer.Argument(
        metavar="PRODUCT", help="Id or handle of the product, or one of its SKUs.", autocompletion=complete_skus
    ),
]
Sku = Annotated[str, typer.Argument(metavar="SKU", help="Stock keeping unit.", autocompletion=complete_skus)]
ORDER_HELP = "Reference or id of the order, or the beginning of an id."
OrderName = Annotated[str, typer.Argument(metavar="ORDER", help=ORDER_HELP, autocompletion=complete_orders)]
OrderNames = Annotated[list[str], typer.Argument(metavar="ORDER ...", help=ORDER_HELP, autocompletion=complete_orders)]
EndpointName = Annotated[
    str, typer.Argument(metavar="ENDPOINT", help="Id of the endpoint.", autocompletion=complete_endpoints)
]
Limit = Annotated[int, typer.Option(parser=whole(1), metavar="ROWS", help="Most rows to show.")]
Location = Annotated[str, typer.Option(help="Location.", show_default="main")]
OnlyLocation = Annotated[str, typer.Option("--location", help="Only this location.")]
OnlySku = Annotated[str, typer.Option("--sku", help="Only this SKU.", autocompletion=complete_skus)]
Etag = Annotated[str, typer.Option(help="Only if it is as it was: `etag` of `products show --json`.")]
RequestId = Annotated[
    str,
    typer.Option(
        parser=identifier,
        metavar="UUID",
        default_factory=lambda: str(uuid.uuid4()),
        help="Makes a repetition safe: the same id does nothing twice.",
        show_default="a new one",
    ),
]
