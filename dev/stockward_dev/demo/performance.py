"""Runs the demo: opens clients and receivers, plays the day, prints the results."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack

from stockward.webhook.v1.webhook_pb2 import Delivery

from stockward_client import AsyncStockward
from stockward_dev.demo.output import Telling
from stockward_dev.demo.receivers import Receiver, Record, Witness, listening
from stockward_dev.demo.scenario import Story
from stockward_server.commands.connection import fail, open_client
from stockward_server.config.run_file import RunFile

SETTING = {"storefront": "STOREFRONT_WEBHOOK_URL", "pms": "PMS_WEBHOOK_URL"}


async def perform(stack: RunFile, telling: Telling) -> None:
    """Plays the day on the stack. Raises DidNotHappen or StockwardError."""
    receivers = {role: Receiver(stack.webhook_secrets[f"{role.upper()}_WEBHOOK_SECRET"]) for role in stack.webhooks}
    async with AsyncExitStack() as open_until_the_end:
        try:
            await open_until_the_end.enter_async_context(
                listening({stack.webhooks[role]: receiver for role, receiver in receivers.items()})
            )
        except OSError as error:
            fail(
                f"Webhooks cannot be received at {', '.join(stack.webhooks.values())}: {error.strerror or error}. "
                "End what listens there, or stop and start the stack, which then takes another port"
            )
        pms, shop = [
            await open_until_the_end.enter_async_context(open_client(stack.grpc, stack.keys[role]))
            for role in ("pms", "storefront")
        ]
        for role in sorted(SETTING.keys() - receivers.keys()):
            telling.note(
                f"{SETTING[role]} is set: those webhooks go there, and the demo looks into the record of events"
            )
        await _have_webhooks_sent(telling, pms, receivers)
        hears: dict[str, Witness] = {"pms": Record(pms), "storefront": Record(shop), **receivers}
        order = await Story(telling, pms, shop, hears).play()
    facts = {"Order": order.order_id, "Tracking number": order.fulfillments[0].tracking_number}
    telling.end(facts | {f"Webhooks to {role}": receiver.summary() for role, receiver in receivers.items()})


async def _have_webhooks_sent(telling: Telling, pms: AsyncStockward, receivers: Mapping[str, Receiver]) -> None:
    """Enables the endpoints and waits for webhooks from before the demo. Before the first demo nothing listens at their
    URLs, so deliveries are pending with long pauses, or the endpoints are disabled."""
    if not receivers:
        return

    async def enable() -> bool:
        waits: list[Delivery] = []
        for role in receivers:
            await pms.webhooks.enable_endpoint(endpoint_id=role)
            pending = pms.webhooks.list_deliveries(endpoint_id=role, states=[Delivery.STATE_PENDING])
            waits += (await pending.first(1)).deliveries
        return bool(waits)

    if await telling.step("PMS", "asking for webhooks", enable(), "has webhooks sent to this demo"):
        await telling.step(
            "Stockward",
            "telling of what happened before",
            asyncio.gather(*(each.hears_the_past() for each in receivers.values())),
            lambda counts: f"tells of what happened before: {sum(counts)} webhooks",
            ends_by_itself=True,
        )
