"""What a product needs before it may be published, and what is recommended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from stockward_server.domain.errors import ProductNotReady
from stockward_server.domain.product import Product, ProductState, Variant


@dataclass(frozen=True, slots=True)
class ReadinessIssue:
    """One thing that is missing or wrong. `field` is its path in the product, such as `variants[0].price`."""

    code: str
    message: str
    field: str


def readiness(product: Product) -> tuple[list[ReadinessIssue], list[ReadinessIssue]]:
    """Returns the issues that block publishing, and the recommendations."""
    return list(_blocking(product)), list(_warnings(product))


def require_ready(product: Product) -> None:
    """Raises ProductNotReady naming the issues that block publishing."""
    issues = list(_blocking(product))
    if issues:
        raise ProductNotReady(product.product_id, issues)


def _blocking(product: Product) -> Iterator[ReadinessIssue]:
    if product.state is ProductState.ARCHIVED:
        yield ReadinessIssue("ARCHIVED", "the product is ARCHIVED; restore it first", "state")
    if not product.variants:
        yield ReadinessIssue("NO_VARIANTS", "there is no variant, so nothing can be bought", "variants")
    first_with: dict[frozenset[tuple[str, str]], int] = {}
    for index, variant in enumerate(product.variants):
        path = f"variants[{index}]"
        if variant.price.minor == 0:
            yield ReadinessIssue("PRICE_ZERO", f"the price of {variant.sku} is zero", f"{path}.price")
        currency = product.variants[0].price.currency
        if variant.price.currency != currency:
            message = f"{variant.sku} is priced in {variant.price.currency}, {product.variants[0].sku} in {currency}"
            yield ReadinessIssue("MIXED_CURRENCIES", message, f"{path}.price")
        other = first_with.setdefault(frozenset(variant.options.items()), index)
        if other != index:
            message = f"{variant.sku} has the same options as {product.variants[other].sku}"
            yield ReadinessIssue("DUPLICATE_OPTIONS", message, f"{path}.options")


def _warnings(product: Product) -> Iterator[ReadinessIssue]:
    if not product.images and not any(variant.image_url for variant in product.variants):
        yield ReadinessIssue("NO_IMAGE", "there is no image", "images")
    if not product.description.strip():
        yield ReadinessIssue("NO_DESCRIPTION", "there is no description", "description")
    for index, variant in enumerate(product.variants):
        yield from _variant_warnings(variant, f"variants[{index}]")


def _variant_warnings(variant: Variant, path: str) -> Iterator[ReadinessIssue]:
    price, former, cost = variant.price, variant.compare_at_price, variant.cost
    if former and former.minor <= price.minor:
        message = f"the former price of {variant.sku}, {former}, is not above its price, {price}"
        yield ReadinessIssue("COMPARE_AT_NOT_HIGHER", message, f"{path}.compare_at_price")
    if cost and cost.currency == price.currency and cost.minor > price.minor:
        message = f"the cost of {variant.sku}, {cost}, is above its price, {price}"
        yield ReadinessIssue("COST_ABOVE_PRICE", message, f"{path}.cost")
    if not variant.barcode:
        yield ReadinessIssue("NO_BARCODE", f"{variant.sku} has no barcode", f"{path}.barcode")
