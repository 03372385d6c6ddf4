"""`stockward products`: the catalog, from a draft to the archive."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from google.protobuf.field_mask_pb2 import FieldMask
from stockward.catalog.v1 import catalog_pb2 as pb

from stockward_server.commands.json_file import read_message
from stockward_server.commands.options import group
from stockward_server.commands.output import printable
from stockward_server.commands.parsers import amount, choice, moment, timestamp, variant
from stockward_server.commands.rpc_command import (
    Etag,
    Limit,
    ProductName,
    RequestId,
    Sku,
    command,
    first,
    product_id,
)
from stockward_server.domain.names import normal_name

if TYPE_CHECKING:
    from stockward_client import AsyncStockward

EDITABLE = {"title", "vendor", "product_type", "description", "handle", "tags", "images", "variants", "attributes"}
"""Fields that an update takes; what else a file has, such as the state, is left out."""

app = group("products")

Title = Annotated[str | None, typer.Option(help="Name shown to customers.")]
Vendor = Annotated[str | None, typer.Option(help="Maker or brand.")]
Kind = Annotated[str | None, typer.Option("--type", help="Kind of product, such as Shirt.")]
Description = Annotated[str | None, typer.Option(help="Text or HTML.")]
Tags = Annotated[list[str] | None, typer.Option("--tag", help="A tag; once for each.")]
Images = Annotated[list[str] | None, typer.Option("--image", metavar="URL", help="A picture; once for each.")]
Variants = Annotated[
    list[str] | None,
    typer.Option(
        "--variant",
        metavar="'SKU PRICE [untracked] [OPTION=VALUE ...]'",
        help="Such as 'TEE-L 19.90 Size=L', or 'PDF 7.50 untracked' for what never runs out; once for each.",
    ),
]
Handle = Annotated[str | None, typer.Option(help="Name in addresses.", show_default="made from the title")]
Currency = Annotated[str, typer.Option(help="Currency of the prices (ISO 4217).")]
File = Annotated[
    Path | None,
    typer.Option(
        "--file", metavar="FILE", help="The product as JSON, as --json prints it; - reads stdin.", allow_dash=True
    ),
]


@command(app, "list")
async def list_products(
    client: AsyncStockward,
    search: Annotated[str, typer.Argument(help="Words or parts of title, SKUs, barcodes, vendor, tags …")] = "",
    state: Annotated[Any, choice(pb.Product.State, "--state", help="Only in this state.")] = None,
    vendor: Annotated[str, typer.Option(help="Only of this vendor.")] = "",
    kind: Annotated[str, typer.Option("--type", help="Only of this type.")] = "",
    tag: Annotated[str, typer.Option(help="Only with this tag.")] = "",
    order_by: Annotated[
        str, typer.Option(help="relevance, create_time, update_time or title; the last three with ' desc' too.")
    ] = "",
    limit: Limit = 50,
) -> pb.ListProductsResponse:
    """List products, newest first, or what fits a search best; archived ones with --state archived."""
    return await first(
        client.catalog.list_products(
            search=search,
            states=[state] if state else [],
            vendor=vendor,
            product_type=kind,
            tag=tag,
            order_by=order_by,
        ),
        limit,
    )


@command(app, "show")
async def show(client: AsyncStockward, product: ProductName) -> pb.Product:
    """Show a product in any state."""
    return await client.catalog.get_product(product_id=await product_id(client, product))


@command(app, "check")
async def check(client: AsyncStockward, product: ProductName) -> pb.CheckReadinessResponse:
    """Check whether a product can be published, and what blocks it."""
    return await client.catalog.check_readiness(product_id=await product_id(client, product))


@command(app, "create", next_step="Publish it: stockward products publish {answer.product_id}")
async def create(
    client: AsyncStockward,
    title: Title = None,
    variants: Variants = None,
    currency: Currency = "EUR",
    vendor: Vendor = None,
    kind: Kind = None,
    description: Description = None,
    tags: Tags = None,
    images: Images = None,
    handle: Handle = None,
    file: File = None,
    *,
    request_id: RequestId,
) -> pb.Product:
    """Create a product as a draft, from options, or from a file whose fields the options replace."""
    texts = {"title": title, "vendor": vendor, "product_type": kind, "description": description, "handle": handle}
    product = _edited(file, texts, variants, currency, tags, images)
    return await client.catalog.create_product(product=product, request_id=request_id)


@command(app, "update")
async def update(
    client: AsyncStockward,
    product: ProductName,
    title: Title = None,
    prices: Annotated[
        list[str] | None, typer.Option("--price", metavar="SKU=PRICE", help="A new price; once for each.")
    ] = None,
    variants: Variants = None,
    currency: Currency = "EUR",
    vendor: Vendor = None,
    kind: Kind = None,
    description: Description = None,
    tags: Tags = None,
    images: Images = None,
    handle: Handle = None,
    file: File = None,
    etag: Etag = "",
    *,
    request_id: RequestId,
) -> pb.Product:
    """Change what is named and nothing else; '' empties a text, --variant and a file's variants replace all of them."""
    product_is = await product_id(client, product)
    texts = {"title": title, "vendor": vendor, "product_type": kind, "description": description, "handle": handle}
    changed = _edited(file, texts, variants, currency, tags, images)
    if prices:
        now = await client.catalog.get_product(product_id=product_is)
        _reprice(now, prices)
        changed.variants.extend(now.variants)
        etag = etag or now.etag  # the other fields of the variants must not have changed in between
    given = {field.name for field, _ in changed.ListFields()} | {name for name in texts if texts[name] is not None}
    mask = given & EDITABLE
    if not mask:
        raise typer.BadParameter("say what to change, such as --title or --price")
    changed.product_id, changed.etag = product_is, etag
    return await client.catalog.update_product(
        product=changed, update_mask=FieldMask(paths=sorted(mask)), request_id=request_id
    )


@command(app, "publish", next_step="Customers can have what is in stock: stockward stock receive SKU UNITS")
async def publish(
    client: AsyncStockward,
    product: ProductName,
    at: Annotated[datetime | None, typer.Option(parser=moment, metavar="TIME", help="Then, not now.")] = None,
    etag: Etag = "",
    *,
    request_id: RequestId,
) -> pb.Product:
    """Publish a product, now or at a time."""
    return await client.catalog.publish_product(
        product_id=await product_id(client, product), publish_time=timestamp(at), etag=etag, request_id=request_id
    )


@command(app, "rename-sku")
async def rename_sku(
    client: AsyncStockward,
    sku: Sku,
    new_sku: Annotated[str, typer.Argument(metavar="NEW", help="The new SKU.")],
    etag: Etag = "",
    *,
    request_id: RequestId,
) -> pb.Product:
    """Change the SKU of a variant; its stock, reservations, orders and history follow."""
    return await client.catalog.rename_sku(sku=sku, new_sku=new_sku, etag=etag, request_id=request_id)


def _step(verb: str, help: str) -> None:
    """Adds a command that takes the product and nothing else."""

    async def step(
        client: AsyncStockward, product: ProductName, etag: Etag = "", *, request_id: RequestId
    ) -> pb.Product:
        method = getattr(client.catalog, f"{verb}_product")
        changed: pb.Product = await method(
            product_id=await product_id(client, product), etag=etag, request_id=request_id
        )
        return changed

    step.__doc__ = help
    command(app, verb)(step)


_step("unpublish", "Unpublish a product, or clear its schedule.")
_step("archive", "Archive a product that is not published.")
_step("restore", "Restore an archived product.")


def _edited(
    file: Path | None,
    texts: Mapping[str, str | None],
    variants: list[str] | None,
    currency: str,
    tags: list[str] | None,
    images: list[str] | None,
) -> pb.Product:
    """Returns the product of the file, with the fields that options give in place of its own."""
    product = read_message(file, pb.Product()) if file else pb.Product()
    for name, text in texts.items():
        if text is not None:
            setattr(product, name, text)
    lists: dict[str, list[Any]] = {
        "variants": [variant(text, currency.upper()) for text in variants or ()],
        "tags": tags or [],
        "images": [pb.Image(url=url) for url in images or ()],
    }
    for name, items in lists.items():
        if items:
            product.ClearField(name)  # type: ignore[arg-type]
            getattr(product, name).extend(items)
    return product


def _reprice(product: pb.Product, prices: list[str]) -> None:
    by_sku = {variant.sku: variant for variant in product.variants}
    for each in prices:
        sku, _, price = each.rpartition("=")
        sku = normal_name(sku)
        if sku not in by_sku:
            raise typer.BadParameter(
                f"“{printable(each)}” is not SKU=PRICE, such as TEE-L=19.90, with one of the SKUs {', '.join(by_sku)}"
            )
        by_sku[sku].price.CopyFrom(amount(price, by_sku[sku].price.currency_code))
