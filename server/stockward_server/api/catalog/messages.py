"""Products as messages, and product requests as the domain takes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from google.protobuf.field_mask_pb2 import FieldMask
from google.type import money_pb2
from stockward.catalog.v1 import catalog_pb2 as pb

from stockward_server.api.responses import response_codec
from stockward_server.application.catalog import ImportedRow
from stockward_server.domain.errors import FieldInvalid
from stockward_server.domain.money import Money
from stockward_server.domain.product import Image, Product, ProductEdit, Variant
from stockward_server.domain.readiness import ReadinessIssue, readiness
from stockward_server.domain.stock import MAX_ORDERED
from stockward_server.wire.enums import wire
from stockward_server.wire.money import money_message, money_of
from stockward_server.wire.times import timestamp
from stockward_server.wire.validation.rules import validate

EDITABLE = tuple(ProductEdit.__annotations__)
"""The fields that staff may set; their names are those of catalog.v1.Product."""

# Messages from the domain


def product_message(product: Product) -> pb.Product:
    """All of it, as staff see it."""
    return pb.Product(
        product_id=product.product_id,
        handle=product.handle,
        title=product.title,
        description=product.description,
        vendor=product.vendor,
        product_type=product.product_type,
        tags=product.tags,
        images=_image_messages(product),
        variants=[
            pb.Variant(
                sku=variant.sku,
                title=variant.title,
                price=money_message(variant.price.currency, variant.price.minor),
                compare_at_price=_optional_money(variant.compare_at_price),
                cost=_optional_money(variant.cost),
                options=variant.options,
                barcode=variant.barcode,
                weight_grams=variant.weight_grams,
                image_url=variant.image_url,
                untracked=variant.untracked,
            )
            for variant in product.variants
        ],
        attributes=product.attributes,
        state=wire(product.state),
        scheduled_publish_time=timestamp(product.scheduled_publish_time),
        publish_time=timestamp(product.publish_time),
        create_time=timestamp(product.create_time),
        update_time=timestamp(product.update_time),
        etag=product.etag,
        version=product.version,
    )


PRODUCT = response_codec(pb.Product, product_message)
"""The response of every product mutation."""


def import_message(row: ImportedRow) -> pb.ImportResult:
    """The result of one imported row."""
    blocking, _ = readiness(row.product)
    return pb.ImportResult(
        action=wire(row.action), product_id=row.product.product_id, blocking=map(_issue_message, blocking)
    )


IMPORTED = response_codec(pb.ImportResult, import_message)


def available_product_message(product: Product, available: Mapping[str, int]) -> pb.AvailableProduct:
    """What a storefront may see of it; `available` has the units of every SKU."""
    return pb.AvailableProduct(
        product_id=product.product_id,
        handle=product.handle,
        title=product.title,
        description=product.description,
        vendor=product.vendor,
        product_type=product.product_type,
        tags=product.tags,
        images=_image_messages(product),
        variants=[
            pb.AvailableVariant(
                sku=variant.sku,
                title=variant.title,
                price=money_message(variant.price.currency, variant.price.minor),
                compare_at_price=_optional_money(variant.compare_at_price),
                options=variant.options,
                barcode=variant.barcode,
                weight_grams=variant.weight_grams,
                image_url=variant.image_url,
                # Read apart: it may have come, or gone, or no longer be tracked, in between.
                available=MAX_ORDERED if variant.untracked else available.get(variant.sku, 0),
                untracked=variant.untracked,
            )
            for variant in product.variants
        ],
        publish_time=timestamp(product.publish_time),
        version=product.version,
    )


def readiness_message(product: Product) -> pb.CheckReadinessResponse:
    blocking, warnings = readiness(product)
    return pb.CheckReadinessResponse(
        ready=not blocking, blocking=map(_issue_message, blocking), warnings=map(_issue_message, warnings)
    )


def _issue_message(issue: ReadinessIssue) -> pb.ReadinessIssue:
    return pb.ReadinessIssue(code=issue.code, message=issue.message, field=issue.field)


def _image_messages(product: Product) -> list[pb.Image]:
    return [pb.Image(url=image.url, alt_text=image.alt_text) for image in product.images]


def _optional_money(money: Money | None) -> money_pb2.Money | None:
    return money_message(money.currency, money.minor) if money else None


# The domain from messages


def product_edit(product: pb.Product) -> ProductEdit:
    """Every field that staff may set, from a validated message; MoneyInvalid or FieldInvalid for a wrong price."""
    return ProductEdit(
        handle=product.handle,
        title=product.title,
        description=product.description,
        vendor=product.vendor,
        product_type=product.product_type,
        tags=tuple(product.tags),
        images=tuple(Image(image.url, image.alt_text) for image in product.images),
        variants=tuple(
            _variant_of(variant, f"product.variants[{index}]") for index, variant in enumerate(product.variants)
        ),
        attributes=dict(product.attributes),
    )


def masked_edit(request: pb.UpdateProductRequest) -> ProductEdit:
    """The fields that the mask names (AIP-134), validated; what stands in the others is not looked at."""
    names = _masked_names(request)
    part = pb.Product(title="-")  # required, and overwritten when it is edited
    FieldMask(paths=names).MergeMessage(request.product, part)
    validate(pb.CreateProductRequest(product=part))
    edit = product_edit(part)
    return cast(ProductEdit, {name: value for name, value in edit.items() if name in names})


def _masked_names(request: pb.UpdateProductRequest) -> list[str]:
    paths = list(request.update_mask.paths)
    if not paths:
        paths = [field.name for field, _ in request.product.ListFields()]
    elif paths == ["*"]:
        paths = [*EDITABLE]
    for path in paths:
        if path not in pb.Product.DESCRIPTOR.fields_by_name:
            raise FieldInvalid("update_mask", f"{path!r} is none of {', '.join(EDITABLE)}")
    return [name for name in EDITABLE if name in paths]


def _variant_of(message: pb.Variant, path: str) -> Variant:
    price = money_of(message.price, f"{path}.price")
    former = (
        money_of(message.compare_at_price, f"{path}.compare_at_price") if message.HasField("compare_at_price") else None
    )
    if former and former.currency != price.currency:
        raise FieldInvalid(f"{path}.compare_at_price", f"must be in the currency of the price, {price.currency}")
    return Variant(
        sku=message.sku,
        price=price,
        title=message.title,
        compare_at_price=former,
        cost=money_of(message.cost, f"{path}.cost") if message.HasField("cost") else None,
        options=dict(message.options),
        barcode=message.barcode,
        weight_grams=message.weight_grams,
        image_url=message.image_url,
        untracked=message.untracked,
    )
