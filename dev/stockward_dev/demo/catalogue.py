"""The products of the demo."""

from __future__ import annotations

from google.type.money_pb2 import Money
from stockward.catalog.v1.catalog_pb2 import Image, Product, Variant


def catalogue(day: str) -> list[Product]:
    """Returns three products, with `day` in their handles and SKUs and as their tag."""
    return [
        _product(day, "Linen shirt", 49_90, "S", "M", "L"),
        _product(day, "Clay pot", 14_50, "Small", "Large"),
        _product(day, "Vanilla candle", 9_90, "200 g"),
    ]


def _product(day: str, title: str, cents: int, *sizes: str) -> Product:
    handle = f"{title.lower().replace(' ', '-')}-{day}"
    price = Money(currency_code="EUR", units=cents // 100, nanos=cents % 100 * 10**7)
    return Product(
        handle=handle,
        title=title,
        description=f"<p>{title}, of the demo.</p>",
        vendor="Demo",
        tags=[day],
        images=[Image(url=f"https://shop.example/{handle}.jpg", alt_text=title)],
        variants=[
            Variant(sku=f"{handle}-{size}".upper(), title=size, price=price, options={"Size": size}) for size in sizes
        ],
    )
