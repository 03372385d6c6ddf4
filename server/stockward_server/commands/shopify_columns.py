"""The columns of Shopify's product CSV: what each is about, and how it is or was spelled.

Case, blanks and punctuation of a header do not matter. A file may mix spellings; where it has two columns for the same
thing, they must not contradict each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

COLUMNS: Mapping[str, Sequence[str]] = {
    "handle": ("URL handle", "Handle"),
    "title": ("Title",),
    "description": ("Description", "Body (HTML)", "Body HTML"),
    "vendor": ("Vendor",),
    "product_type": ("Type", "Product type", "Custom product type"),
    "tags": ("Tags",),
    "published": ("Published on online store", "Published"),
    "status": ("Status",),
    **{f"option{n}_name": (f"Option{n} name",) for n in (1, 2, 3)},
    **{f"option{n}_value": (f"Option{n} value",) for n in (1, 2, 3)},
    "sku": ("SKU", "Variant SKU"),
    "barcode": ("Barcode", "Variant barcode"),
    "price": ("Price", "Variant price"),
    "compare_at_price": ("Compare-at price", "Variant compare at price"),
    "cost": ("Cost per item", "Variant cost"),
    "tracker": ("Inventory tracker", "Variant inventory tracker"),
    "quantity": ("Inventory quantity", "Variant inventory quantity", "Variant inventory qty"),
    "policy": ("Continue selling when out of stock", "Variant inventory policy"),
    "grams": ("Weight value (grams)", "Variant grams"),
    "image": ("Product image URL", "Image src"),
    "image_position": ("Image position",),
    "image_alt_text": ("Image alt text",),
    "variant_image": ("Variant image URL", "Variant image"),
}
"""What a column is about, and its spellings: the present one first, then former ones."""

REQUIRED = ("handle", "title", "price")
"""Without these it is another format."""

ORIGINS: Mapping[str, str] = {
    "variants": "price",
    "variants.title": "option1_value",
    "variants.options": "option1_value",
    "variants.weight_grams": "grams",
    "variants.image_url": "variant_image",
    "variants.untracked": "tracker",
    **{f"variants.{name}": name for name in ("sku", "price", "compare_at_price", "cost", "barcode")},
    "images": "image",
    "images.alt_text": "image_alt_text",
    **{name: name for name in ("handle", "title", "description", "vendor", "product_type", "tags")},
}
"""The column that a field of catalog.v1.Product comes from."""


def spelled(name: str) -> str:
    """Returns a header without what does not matter."""
    return "".join(character for character in name.casefold() if character.isalnum())


BY_SPELLING = {spelled(name): about for about, names in COLUMNS.items() for name in names}
"""What the column is about that is spelled so."""


def words(about: str) -> str:
    """Returns how to write a column that is missing."""
    present, *former = COLUMNS[about]
    return f"{present} (formerly {former[-1]})" if former else present
