"""The two endpoints that settings make: STOREFRONT_WEBHOOK_URL and PMS_WEBHOOK_URL, signed with a secret each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stockward_server.domain.endpoint import MAX_IN_FLIGHT, STOREFRONT
from stockward_server.storage.webhooks.claims import SqlWebhooks


@dataclass(frozen=True, slots=True)
class Audience:
    """Whom an endpoint is for, and the events that it receives."""

    description: str
    types: tuple[str, ...]


AUDIENCES: Mapping[str, Audience] = {
    # What customers can see: what is for sale and how much of it, their orders, and a hold that ran out under them.
    # Other events of reservations are the storefront's own doing. Of these types the feed leaves out what a storefront
    # may not see, such as drafts.
    STOREFRONT: Audience(
        "The storefront of the settings",
        ("product.*", "stock.*", "reservation.expired", "order.*", "payment.updated"),
    ),
    # What staff have to act on. Every single movement of stock would drown that; alerts are sent. So is an
    # endpoint that does not respond.
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
    """Makes the endpoints what the settings say: `urls` and `secrets` by endpoint id. One without is disabled."""
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
