"""Products and their variants. Changes are in `product_changes`, the requirements of publishing in `readiness`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import TypedDict

from stockward_server.domain.etag import etag_of_version
from stockward_server.domain.money import Money


class ProductState(IntEnum):
    """The numbers are those of catalog.v1.Product.State and of the table."""

    DRAFT = 1
    PUBLISHED = 2
    UNPUBLISHED = 3
    ARCHIVED = 4


@dataclass(frozen=True, slots=True)
class Image:
    """An image, referenced by URL."""

    url: str
    alt_text: str = ""


@dataclass(frozen=True, slots=True)
class Variant:
    """A variant: one item that can be bought."""

    sku: str
    price: Money
    title: str = ""
    compare_at_price: Money | None = None
    cost: Money | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    barcode: str = ""
    weight_grams: int = 0
    image_url: str = ""
    untracked: bool = False
    """Whether its stock is not tracked: it never runs out."""


@dataclass(frozen=True, slots=True)
class Product:
    """A product with its variants. `version` is the number of its last event; the etag is derived from it."""

    product_id: str
    handle: str
    title: str
    state: ProductState
    create_time: datetime
    update_time: datetime
    description: str = ""
    vendor: str = ""
    product_type: str = ""
    tags: tuple[str, ...] = ()
    images: tuple[Image, ...] = ()
    variants: tuple[Variant, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    scheduled_publish_time: datetime | None = None
    publish_time: datetime | None = None
    version: int = 0

    @property
    def etag(self) -> str:
        """Etag that changes with every change (AIP-154)."""
        return etag_of_version(self.version)


class ProductEdit(TypedDict, total=False):
    """New values of fields that staff may set. An absent field keeps its value, and so does a handle that is set to
    empty."""

    handle: str
    title: str
    description: str
    vendor: str
    product_type: str
    tags: tuple[str, ...]
    images: tuple[Image, ...]
    variants: tuple[Variant, ...]
    attributes: Mapping[str, str]
