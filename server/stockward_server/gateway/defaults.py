"""The two endpoints of the settings STOREFRONT_WEBHOOK_URL and PMS_WEBHOOK_URL, each with its own signing secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stockward_server.domain.endpoint import MAX_IN_FLIGHT, STOREFRONT
from stockward_server.storage.webhooks.claims import SqlWebhooks


@dataclass(frozen=True, slots=True)
class Audience:
    """The description of an endpoint of the settings, and the event types that it receives."""

    description: str
    types: tuple[str, ...]


AUDIENCES: Mapping[str, Audience] = {
    # What customers can see: products and their stock, their orders, and reservations that expired. Other events of
    # reservations are caused by the storefront itself. The feed also leaves out what a storefront may not see, such as
    # drafts.
    STOREFRONT: Audience(
        "The storefront of the settings",
        ("product.*", "stock.*", "reservation.expired", "order.*", "payment.updated"),
    ),
    # What staff have to act on: alerts rather than every movement of stock, and endpoints that fail.
    "pms": Audience(
        "The product management system of the settings",
        (
            "product.*",
            "stock.low",
            "stock.depleted",
            "stock.shortfall",
            "stock.recovered",
            "order.*",
            "payment.updated",
            "endpoint.failing",
            "endpoint.disabled",
        ),
    ),
}
"""By endpoint id."""


async def put_default_endpoints(store: SqlWebhooks, urls: Mapping[str, str], secrets: Mapping[str, str]) -> None:
    """Creates or updates the endpoints of the settings: `urls` and `secrets` by endpoint id. Disables an endpoint that
    lacks either."""
    for endpoint_id, audience in AUDIENCES.items():
        if endpoint_id in urls and endpoint_id in secrets:
            await store.put_endpoint(
                endpoint_id,
                urls[endpoint_id],
                secrets[endpoint_id],
                description=audience.description,
                types=audience.types,
                max_in_flight=MAX_IN_FLIGHT,
            )
        else:
            await store.disable_removed(endpoint_id)
