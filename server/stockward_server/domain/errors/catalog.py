"""Errors about products; the reasons of catalog.v1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from stockward_server.domain.errors.base import Code, PreconditionViolation, Refusal

if TYPE_CHECKING:
    from stockward_server.domain.readiness import ReadinessIssue
    from stockward_server.domain.stock import StockLevel


class ProductNotFound(Refusal):
    """No product has this id; for a storefront also one that is not published."""

    code, reason = Code.NOT_FOUND, "PRODUCT_NOT_FOUND"

    def __init__(self, product_id: str) -> None:
        super().__init__(f"there is no product {product_id}", field="product_id", product_id=product_id)


class SkuTaken(Refusal):
    """Another variant has this SKU."""

    code, reason = Code.ALREADY_EXISTS, "SKU_TAKEN"

    @classmethod
    def by_product(cls, sku: str, product_id: str, field: str) -> Self:
        return cls(f"{sku} is a variant of product {product_id}", field=field, sku=sku)

    @classmethod
    def by_variant(cls, sku: str, index: int, field: str) -> Self:
        """The request contains the SKU twice, first in its variant `index`."""
        return cls(f"{sku} is also the SKU of variants[{index}]", field=field, sku=sku)


class HandleTaken(Refusal):
    """Another product has this handle; `product_id` is its id."""

    code, reason = Code.ALREADY_EXISTS, "HANDLE_TAKEN"

    def __init__(self, handle: str, product_id: str) -> None:
        super().__init__(f"product {product_id} has the handle {handle!r}", field="product.handle", handle=handle)


class ProductNotReady(Refusal):
    """The product lacks what publishing requires."""

    code, reason = Code.FAILED_PRECONDITION, "PRODUCT_NOT_READY"

    def __init__(self, product_id: str, blocking: Sequence[ReadinessIssue]) -> None:
        """`blocking`: at least one issue."""
        more = f" (and {len(blocking) - 1} more)" if len(blocking) > 1 else ""
        super().__init__(
            f"the product cannot be published: {blocking[0].message}{more}",
            preconditions=[PreconditionViolation(each.code, each.field, each.message) for each in blocking],
            product_id=product_id,
            issues=",".join(dict.fromkeys(each.code for each in blocking)),
        )


class ProductStateInvalid(Refusal):
    """The product's state does not allow this step, such as `publish`."""

    code, reason = Code.FAILED_PRECONDITION, "PRODUCT_STATE_INVALID"

    def __init__(self, product_id: str, state: str, action: str) -> None:
        super().__init__(
            f"product {product_id} is {state}, so it is not possible to {action} it",
            product_id=product_id,
            state=state,
            action=action,
        )


class VariantInUse(Refusal):
    """A variant has stock or claims that the edit would invalidate."""

    code, reason = Code.FAILED_PRECONDITION, "VARIANT_IN_USE"

    @classmethod
    def when_removed(cls, product_id: str, used: Sequence[StockLevel]) -> Self:
        """`used`: its stock rows with a counter that is not zero."""
        return cls._of("a variant that has stock, holds or open orders must stay", product_id, used)

    @classmethod
    def when_untracked(cls, product_id: str, used: Sequence[StockLevel]) -> Self:
        """`used`: its stock rows with claims."""
        return cls._of("the stock of a variant that has holds or open orders must stay tracked", product_id, used)

    @classmethod
    def _of(cls, rule: str, product_id: str, used: Sequence[StockLevel]) -> Self:
        preconditions = [
            PreconditionViolation(
                "STOCK",
                level.sku,
                f"{level.sku} at {level.location_id} has {level.on_hand} on hand, {level.reserved} reserved, "
                f"{level.allocated} allocated",
            )
            for level in used
        ]
        return cls(
            f"{rule}: {preconditions[0].description}",
            field="product.variants",
            preconditions=preconditions,
            sku=used[0].sku,
            product_id=product_id,
        )
