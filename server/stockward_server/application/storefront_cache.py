"""The read path of a storefront: published products and their availability, cached for a limited time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from stockward_server.application.context import Role
from stockward_server.application.ports.stock import AvailabilityRow
from stockward_server.application.reads import CachedLoader, Load
from stockward_server.application.unit_of_work import UnitOfWork
from stockward_server.domain.errors import ProductNotFound
from stockward_server.domain.product import Product, ProductState


class StorefrontCache:
    """What customers see: never older than `max_age` seconds or than this process's last commit."""

    def __init__(
        self,
        load_products: Load[str, Product],
        load_availability: Load[str, AvailabilityRow],
        max_age: float,
        size_of: Callable[[Product], int],
    ) -> None:
        """`size_of` returns the bytes of a product."""
        self._products = CachedLoader(load_products, max_age, size_of=size_of)
        self._availability = CachedLoader(load_availability, max_age)

    @property
    def reads(self) -> Mapping[str, CachedLoader[str, Any]]:
        """The caches by name."""
        return {"products": self._products, "availability": self._availability}

    async def product(self, product_id: str) -> Product:
        """Returns the product if it is published. Raises ProductNotFound."""
        product = await self._products.get(product_id.lower())
        if product is None or product.state is not ProductState.PUBLISHED:
            raise ProductNotFound(product_id)
        return product

    async def available(self, sku: str, role: Role) -> AvailabilityRow | None:
        """Returns the availability of one SKU; None when it does not exist for the role."""
        row = await self._availability.get(sku)
        return row if row is not None and role.may_see(row.published) else None

    async def availability(self, skus: Collection[str], role: Role) -> Mapping[str, AvailabilityRow]:
        """Returns the availability of each SKU, without those that do not exist for the role."""
        rows = await self._availability.get_all(skus)
        return {sku: row for sku, row in rows.items() if role.may_see(row.published)}

    def invalidate(self, state: UnitOfWork) -> None:
        """Drops values that a commit has changed."""
        self._availability.invalidate({sku for sku, _ in state.levels.changes})
        if state.edited_products:
            self._products.invalidate(product.product_id for product in state.edited_products)
            self._availability.invalidate(variant.sku for each in state.edited_products for variant in each.variants)

    def invalidate_all_stock(self) -> None:
        """Drops all availability, after a location was opened or closed."""
        self._availability.invalidate_all()
