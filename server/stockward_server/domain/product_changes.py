"""Changes of products and the sequence of their states.

    DRAFT -> PUBLISHED <-> UNPUBLISHED -> ARCHIVED; DRAFT -> ARCHIVED; ARCHIVED -> UNPUBLISHED | DRAFT

Every `decide_…` receives the product as it is under lock and returns the changed product, or raises a Refusal. When the
product is already in the wanted state it returns the product itself, so a repeated request is harmless. Nothing is
changed in place.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from stockward_server.domain.errors import ProductStateInvalid, SkuTaken
from stockward_server.domain.etag import require_etag
from stockward_server.domain.product import Product, ProductEdit, ProductState
from stockward_server.domain.readiness import readiness, require_ready


def require_product_etag(product: Product, etag: str) -> None:
    """Raises EtagMismatch when the product has changed since the caller read it; an empty etag skips the check."""
    require_etag(f"product {product.product_id}", product.etag, etag, product_id=product.product_id)


def decide_creation(product_id: str, edit: ProductEdit, now: datetime) -> Product:
    """Returns a new draft; its handle is empty when the edit has none."""
    blank = Product(product_id, "", "", ProductState.DRAFT, now, now)
    return _apply(blank, edit)


def decide_update(product: Product, edit: ProductEdit, now: datetime) -> Product:
    """Returns the product with the new values. A published product must stay ready."""
    edited = _apply(product, edit)
    if edited == product:
        return product
    if edited.state is ProductState.PUBLISHED:
        require_ready(edited)
    return replace(edited, update_time=now)


def decide_renaming(product: Product, sku: str, new_sku: str, now: datetime) -> Product:
    """Returns the product with variant `sku` renamed to `new_sku`. Raises SkuTaken when another of its variants has
    it."""
    if sku == new_sku:
        return product
    if any(variant.sku == new_sku for variant in product.variants):
        raise SkuTaken.by_product(new_sku, product.product_id, "new_sku")
    variants = tuple(replace(each, sku=new_sku) if each.sku == sku else each for each in product.variants)
    return replace(product, variants=variants, update_time=now)


def decide_publication(product: Product, at: datetime | None, now: datetime) -> Product:
    """Publishes the product, or schedules it when `at` is in the future; a published product cannot be scheduled."""
    later = at if at is not None and at > now else None
    if product.state is ProductState.ARCHIVED or (later and product.state is ProductState.PUBLISHED):
        raise _state_invalid(product, "schedule" if later else "publish")
    if product.state is ProductState.PUBLISHED:
        return product
    require_ready(product)
    if later is None:
        return _published(product, now)
    if later == product.scheduled_publish_time:
        return product
    return replace(product, scheduled_publish_time=later, update_time=now)


def decide_due_publication(product: Product, now: datetime) -> Product:
    """Publishes the product when its scheduled time has come; when it is no longer ready, only removes the schedule."""
    if product.scheduled_publish_time is None or product.scheduled_publish_time > now:
        return product
    blocking, _ = readiness(product)
    if blocking:
        return replace(product, scheduled_publish_time=None, update_time=now)
    return _published(product, now)


def decide_unpublication(product: Product, now: datetime) -> Product:
    """Unpublishes the product and removes a schedule."""
    if product.state is ProductState.ARCHIVED:
        raise _state_invalid(product, "unpublish")
    if product.state is ProductState.PUBLISHED:
        return replace(product, state=ProductState.UNPUBLISHED, update_time=now)
    if product.scheduled_publish_time is None:
        return product
    return replace(product, scheduled_publish_time=None, update_time=now)


def decide_archival(product: Product, now: datetime) -> Product:
    """Archives the product and removes a schedule."""
    if product.state is ProductState.PUBLISHED:
        raise _state_invalid(product, "archive")
    if product.state is ProductState.ARCHIVED:
        return product
    return replace(product, state=ProductState.ARCHIVED, scheduled_publish_time=None, update_time=now)


def decide_restoration(product: Product, now: datetime) -> Product:
    """Restores the state from before the product was archived."""
    if product.state is ProductState.PUBLISHED:
        raise _state_invalid(product, "restore")
    if product.state is not ProductState.ARCHIVED:
        return product
    state = ProductState.UNPUBLISHED if product.publish_time else ProductState.DRAFT
    return replace(product, state=state, update_time=now)


def change_event(before: Product | None, after: Product) -> str | None:
    """Returns the type of the event for this change, or None when nothing changed."""
    if before is None:
        return "product.created"
    if after == before:
        return None
    if after.state is not before.state:
        if before.state is ProductState.ARCHIVED:
            return "product.restored"
        return f"product.{after.state.name.lower()}"
    if after.scheduled_publish_time not in (None, before.scheduled_publish_time):
        return "product.scheduled"
    return "product.updated"


def _apply(product: Product, edit: ProductEdit) -> Product:
    edited = replace(product, **edit)
    if not edited.handle:
        edited = replace(edited, handle=product.handle)
    first: dict[str, int] = {}
    for index, variant in enumerate(edited.variants):
        if first.setdefault(variant.sku, index) != index:
            raise SkuTaken.by_variant(variant.sku, first[variant.sku], f"product.variants[{index}].sku")
    return edited


def _published(product: Product, now: datetime) -> Product:
    return replace(
        product, state=ProductState.PUBLISHED, scheduled_publish_time=None, publish_time=now, update_time=now
    )


def _state_invalid(product: Product, action: str) -> ProductStateInvalid:
    return ProductStateInvalid(product.product_id, product.state.name, action)
