"""One server for all of them."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from stockward_dev import Nats, Postgres
from stockward_server.config import Settings
from tests.conftest import TEMPLATE
from tests.shop import Shop, running_shop
from tests.staff_terminal import Both, Run, reaching
from tests.terminal import Outcome, in_process

MUTATIONS = {
    *("create", "update", "publish", "unpublish", "archive", "restore", "rename-sku"),
    *("adjust", "receive", "count", "policy", "reserve", "release"),
    *("process", "fulfill", "cancel", "return", "pay", "refund", "charge", "hold", "edit", "note", "parcel"),
    *("unpack", "announce", "update-return", "receive", "close-return", "withdraw-return"),
}


numbers = itertools.count(1)


@pytest.fixture(scope="session")
async def shop(postgres: Postgres, nats: Nats) -> AsyncIterator[Shop]:
    """One server for all of them."""
    url = await postgres.create_database("staff_commands", template=TEMPLATE)
    async with running_shop(Settings.model_validate({"database_url": url, "event_queue_url": nats.url})) as shop:
        yield shop


@pytest.fixture
def run(shop: Shop) -> Run:
    """The command line in this process, which spares an interpreter's start for each command."""

    async def run(*arguments: str | Path, stdin: str = "") -> Outcome:
        return await in_process(*arguments, stdin=stdin, **reaching(shop))

    return run


@pytest.fixture
async def sku(shop: Shop) -> str:
    """For sale at 10.00 EUR, 10 on hand."""
    sku = f"SKU-{next(numbers)}"
    await shop.sell(sku, 10, "10.00")
    return sku


@pytest.fixture
def both(run: Run) -> Both:
    """The same command for a person and for a script: what it prints, and its JSON.

    A change is sent twice with one request_id, so the second answers what the first one did.
    """

    async def both(noun: str, verb: str, *arguments: str | Path, stdin: str = "") -> tuple[str, Any]:
        words = [noun, verb, *arguments]
        words += ["--request-id", str(uuid.uuid4())] if verb in MUTATIONS else []
        read, parsed = await run(*words, stdin=stdin), await run(*words, "--json", stdin=stdin)
        assert (read.code, parsed.code, parsed.err) == (0, 0, ""), (words, read.err, parsed.err)
        return read.out, parsed.json

    return both
