"""`stockward webhooks|deliveries`: each verb on a running server, as a person and as a script has it."""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from stockward_server.config import Settings
from stockward_server.domain.delivery import DeliveryState
from stockward_server.storage import database
from tests.endpoints import deliver
from tests.events import until
from tests.shop import KEYS, Shop, running_shop
from tests.terminal import Outcome, in_process
from tests.webhooks import Stack, webhook_stack


@pytest.fixture(scope="module")
async def stack(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """With one gateway."""
    pool = await database.open_pool(module_database_url, 5)
    async with pool, webhook_stack(pool, module_database_url, Path(tmp_path_factory.mktemp("commands"))) as stack:
        await stack.start(urls={})
        yield stack


@pytest.fixture(scope="module")
async def shop(stack: Stack) -> AsyncIterator[Shop]:
    settings = {"database_url": stack.database_url, "event_queue_url": stack.nats.url}
    async with running_shop(Settings.model_validate(settings)) as shop:
        yield shop


async def run(shop: Shop, *words: str) -> Outcome:
    environment = {"STOCKWARD_ADDRESS": shop.address, "STOCKWARD_KEY": KEYS["pms"], "COLUMNS": "250"}
    return await in_process(*words, **environment)


async def both(shop: Shop, *words: str, change: bool = False) -> tuple[str, Any]:
    """What it prints, and its JSON; a change is sent twice with one request_id."""
    words += ("--request-id", str(uuid.uuid4())) if change else ()
    read, parsed = await run(shop, *words), await run(shop, *words, "--json")
    assert (read.code, parsed.code) == (0, 0), (words, read.err, parsed.err)
    return read.out, parsed.json


async def test_an_endpoint_from_its_secret_to_its_end(shop: Shop, stack: Stack) -> None:
    told = stack.storefront
    words = ("webhooks", "create", told.url, "--type", "order.*", "--header", "x-key=k", "--description", "ERP")
    printed, made = await both(shop, *words, change=True)
    endpoint_id, (secret,) = made["endpoint"]["endpointId"], re.findall(r"whsec_[\w+/=]+", printed)
    assert made["secret"] == ""  # of the repetition
    assert "not shown again" in (await run(shop, "webhooks", "rotate", endpoint_id, "--overlap", "1")).err

    printed, listing = await both(shop, "webhooks", "list")
    assert [each["endpointId"] for each in listing["endpoints"]] == [endpoint_id]
    assert "enabled" in printed
    printed, shown = await both(shop, "webhooks", "show", endpoint_id)
    assert (shown["headers"], shown["types"], len(shown["secrets"])) == ({"x-key": "***"}, ["order.*"], 2)
    assert secret not in printed
    assert (await both(shop, "webhooks", "expire", endpoint_id, change=True))[1]["secrets"][0] == shown["secrets"][0]

    rotated = (await run(shop, "webhooks", "rotate", endpoint_id, "--overlap", "0", "--json")).json
    told.secret = rotated["secret"]
    _, changed = await both(
        shop,
        *("webhooks", "update", endpoint_id, "--rate", "50", "--in-flight", "2", "--no-headers"),
        *("--type", "stock.*", "--max-body", "2048"),
        change=True,
    )
    assert (changed["rateLimit"], changed["maxInFlight"], changed["maxBodyBytes"]) == (50, 2, 2048)
    assert (changed["headers"], changed["types"], changed["description"]) == ({}, ["stock.*"], "ERP")
    assert (await run(shop, "webhooks", "update", endpoint_id)).code == 2
    stale = await run(shop, "webhooks", "update", endpoint_id, "--rate", "1", "--etag", "1")
    assert (stale.code, "ETAG_MISMATCH" in stale.err) == (1, True)

    async def is_taken() -> bool:
        """Once the gateway knows the newest secret."""
        return bool((await run(shop, "webhooks", "ping", endpoint_id, "--json")).json["state"] == "STATE_DELIVERED")

    await until(is_taken)
    assert told.taken[-1].data["type"] == "endpoint.pinged"
    printed, _ = await both(shop, "webhooks", "disable", endpoint_id, "--reason", "moving", change=True)
    assert "moving" in printed
    refused = await run(shop, "webhooks", "ping", endpoint_id)
    assert (refused.code, "ENDPOINT_DISABLED" in refused.err) == (1, True)
    assert "replay" in (await run(shop, "webhooks", "enable", endpoint_id)).err
    assert (await both(shop, "webhooks", "delete", endpoint_id, change=True))[1]["endpointId"] == endpoint_id
    gone = await run(shop, "webhooks", "show", endpoint_id)
    assert (gone.code, "ENDPOINT_NOT_FOUND" in gone.err) == (1, True)


async def test_deliveries(shop: Shop, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    told = stack.pms
    made = (await run(shop, "webhooks", "create", told.url, "--type", "endpoint.disabled", "--json")).json
    endpoint_id, told.secret = made["endpoint"]["endpointId"], made["secret"]
    await shop.sell("TEE")
    for _ in range(4):
        await shop.receive("TEE", 1)
    await until(lambda: shop.pool.fetchval("SELECT NOT EXISTS (SELECT FROM outbox)"))
    first, *_ = await deliver(shop.pool, endpoint_id, DeliveryState.DEAD, ["stock.changed"])

    printed, listing = await both(
        shop, "deliveries", "list", "--endpoint", endpoint_id, "--state", "dead", "--aggregate", "TEE@main"
    )
    assert len(listing["deliveries"]) == 4
    assert "HTTP 500" in printed
    printed, shown = await both(shop, "deliveries", "show", endpoint_id, first)
    assert [attempt["latency"] for attempt in shown["attempts"]] == ["0.007s", "0.014s"]
    assert "14 ms" in printed
    assert (await both(shop, "deliveries", "skip", endpoint_id, first, change=True))[1]["state"] == "STATE_SKIPPED"
    assert (await run(shop, "deliveries", "retry", endpoint_id, first, "--json")).json["state"] == "STATE_PENDING"

    monkeypatch.setattr("stockward_server.commands.deliveries.BATCH", 2)
    recover = ("deliveries", "recover", endpoint_id, "--since", "2026-01-01")
    outcome = await run(shop, *recover, "--json")
    assert (outcome.json["recovered"], "2 recovered so far" in outcome.err) == (3, True)

    async def are_all_taken() -> bool:
        return len(told.taken) == 4

    await until(are_all_taken)
    replay = ("deliveries", "replay", endpoint_id, "--type", "product.*", "--type", "stock.*", "--since", "2026-01-01")
    _, answer = await both(shop, *replay, change=True)
    assert answer["replayed"] == 6
    await until(lambda: shop.pool.fetchval("SELECT NOT EXISTS (SELECT FROM deliveries WHERE state = 1)"))
    assert set(told.versions()["TEE@main"]) == {1, 2, 3, 4}
    assert (await run(shop, "deliveries", "replay", endpoint_id)).code == 1
    assert (await run(shop, "deliveries", "list", "--state", "lost")).code == 2
