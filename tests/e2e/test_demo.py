"""`stockward demo` against the whole stack, and the other commands that find it by themselves."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from stockward.event.v1.event_pb2 import Event

from stockward_dev import free_port
from stockward_dev.demo.receivers import Receiver, listening
from stockward_server.domain.identifiers import new_id
from stockward_server.gateway.message import body_of, headers_of
from tests.events import until
from tests.receiver import SECRET, receiver
from tests.stack import Stack, new_stack
from tests.terminal import stockward

pytestmark = pytest.mark.long

STORY = (
    "PMS has webhooks sent to this demo",
    "PMS imports 3 products with 6 variants, as drafts",
    "PMS publishes them",
    "PMS receives 10 of each",
    "Storefront hears product.published × 3 by webhook, signature verified",
    "Storefront shows Clay pot (20 available), Linen shirt (30 available), Vanilla candle (10 available)",
    "Customer holds 4 × LINEN-SHIRT-",
    "Storefront has 6 of 10 left for everyone else",
    "Customer number two is refused: LINEN-SHIRT-",
    "PMS hears stock.low by webhook, signature verified",
    "Customer orders what is held, for EUR 199.60",
    "PMS hears order.created by webhook, signature verified",
    "PMS takes one off the order, as the customer asks; it comes to EUR 149.70",
    "Customer pays EUR 149.70",
    "PMS hears payment.updated by webhook, signature verified",
    "PMS puts the order on hold: the address lacks a house number",
    "PMS is refused to process it meanwhile (ORDER_ON_HOLD)",
    "PMS has the number, and releases it",
    "PMS takes the order into processing",
    "PMS sends one of 3 ahead",
    "PMS sends the rest off as DP-",
    "PMS adds the tracking of the first, DP-",
    "Storefront hears order.fulfilled by webhook, signature verified",
    "Customer announces that one comes back",
    "PMS hears order.return_announced by webhook, signature verified",
    "PMS receives it; EUR 49.90 are due to the customer",
    "Storefront hears order.returned by webhook, signature verified",
    "PMS pays back EUR 49.90",
    "Stockward has 8 of LINEN-SHIRT-",
    "Storefront saw the stock go 10 → 6 → 7 → 8",
    "Storefront heard of the order, in order: order.created, order.edited, payment.updated, order.processing, "
    "order.partially_fulfilled, order.fulfilled, order.fulfillment_updated, order.return_announced, order.returned, "
    "payment.updated",
    "PMS heard of the order, in order: order.created, order.edited, payment.updated, order.held, order.released, "
    "order.processing, order.partially_fulfilled, order.fulfilled, order.fulfillment_updated, "
    "order.return_announced, order.returned, payment.updated",
)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A stack that is up, with no webhook URL set."""
    for stack in new_stack():
        stack.up()
        yield stack


async def test_the_story_can_be_played_again_and_again(stack: Stack) -> None:
    # What nobody listened to, before the demo, must not hold it back.
    file = stack.directory / "products.csv"
    file.write_text("Handle,Title,Variant SKU,Variant Price,Variant Inventory Qty\ntee,Tee,TEE,19.90,5\n")
    imported = await stockward("import", "products", file, "--publish", "--stock", cwd=stack.directory)
    assert imported.code == 0, imported.err

    async def is_pending() -> bool:
        listed = await stockward("deliveries", "list", "--endpoint", "storefront", "--json", cwd=stack.directory)
        return bool(listed.json.get("deliveries"))

    await until(is_pending)
    for role in ("storefront", "pms"):  # as a gateway does after days of it
        assert (await stockward("webhooks", "disable", role, cwd=stack.directory)).code == 0

    first = await stockward("demo", cwd=stack.directory)

    assert (first.code, first.err) == (0, "")
    told = [" ".join(line.removeprefix("✓").split()) for line in first.out.splitlines() if line.startswith("✓")]
    assert told.pop(1).startswith("Stockward tells of what happened before: ")
    assert len(told) == len(STORY) + 1
    for line, expected in zip(told, STORY, strict=False):
        assert line.startswith(expected)
        assert line.endswith(" ms")
    assert told[-1].startswith("The whole story in ")

    second = (await stockward("demo", "--json", cwd=stack.directory)).json

    steps = [f"{step['who']} {step['what']}" for step in second["steps"]]
    steps = [step for step in steps if not step.startswith("Stockward tells of what happened before")]  # at its end
    assert [step[:12] for step in steps] == [line[:12] for line in STORY]
    assert second["seconds"] < 60
    assert second["facts"]["Order"] not in first.out
    assert second["facts"]["Webhooks to storefront"].startswith("28, median "), "nothing of three drafts"
    audit = await stockward("audit", cwd=stack.directory)
    assert (audit.code, audit.out) == (0, "✓ 13 stock rows: counters, ledger and open claims agree\n")


async def test_what_does_not_arrive_is_told(stack: Stack) -> None:
    gateway = stack.running["pids"]["gateway"]
    os.kill(gateway, signal.SIGSTOP)
    try:
        outcome = await stockward("demo", "--patience", "2", cwd=stack.directory)
    finally:
        os.kill(gateway, signal.SIGCONT)
    assert outcome.code == 1
    assert outcome.err.startswith("✗ Storefront: hearing product.published did not happen within 2 s\n")
    assert str(Path(".stockward/logs")) in outcome.err
    assert "The whole story" not in outcome.out

    assert (await stockward("demo", cwd=stack.directory)).code == 0


async def test_a_server_that_hangs_is_told(stack: Stack) -> None:
    server = stack.running["pids"]["server"]
    os.kill(server, signal.SIGSTOP)
    try:
        outcome = await stockward("demo", "--patience", "1", cwd=stack.directory)
    finally:
        os.kill(server, signal.SIGCONT)
    assert (outcome.code, outcome.out) == (1, "")
    assert "PMS: asking for webhooks did not happen within 1 s" in outcome.err


async def test_only_what_is_signed_counts() -> None:
    event = Event(event_id=new_id(), type="order.created", aggregate_id="o", aggregate_version=1)
    event.time.GetCurrentTime()
    body = body_of(event.SerializeToString())
    url = f"http://127.0.0.1:{free_port()}/storefront"
    shop = Receiver(SECRET)
    async with listening({url: shop}), aiohttp.ClientSession() as http:

        async def post(secret: str, content: bytes) -> int:
            headers = headers_of(event.event_id, body, [secret], datetime.now(UTC))
            async with http.post(url, data=content, headers=headers) as answer:
                return answer.status

        assert await post("whsec_" + "QUJD" * 10, body) == 401
        assert await post(SECRET, body + b" ") == 401
        assert shop.summary() == "0, median 0 ms after the change; 2 with a wrong signature"
        assert await post(SECRET, body) == 204
        assert await post(SECRET, body) == 204
    assert await shop.history("o", 1) == [event]
    assert await shop.hears("order.created", "o") == event


async def test_two_demos_do_not_share_a_port(stack: Stack) -> None:
    url = stack.running["webhooks"]["storefront"]
    port = int(url.rpartition(":")[2].partition("/")[0])
    with closing(socket.create_server(("127.0.0.1", port))):
        outcome = await stockward("demo", cwd=stack.directory)
    assert (outcome.code, outcome.out) == (1, "")
    assert f"✗ Webhooks cannot be received at {url}" in outcome.err


async def test_webhooks_that_are_set_stay_where_they_go(stack: Stack) -> None:
    """The last one on this stack, which it starts again."""
    stack.end()
    async with receiver() as shop:
        shop.secret = "whsec_" + "QUJD" * 10
        running = await asyncio.to_thread(stack.up, STOREFRONT_WEBHOOK_URL=shop.url, WEBHOOK_SECRET=shop.secret)
        assert set(running["webhooks"]) == {"pms"}

        outcome = await stockward("demo", cwd=stack.directory)

        await until(lambda: "order.fulfilled" in {hook.data["type"] for hook in shop.taken})
    assert (outcome.code, outcome.err) == (0, "")
    assert "STOREFRONT_WEBHOOK_URL is set: those webhooks go there" in outcome.out
    lines = [" ".join(line.split()) for line in outcome.out.splitlines()]
    assert any("Storefront hears product.published × 3 in the record of events" in line for line in lines)
    assert any("PMS hears order.created by webhook, signature verified" in line for line in lines)


async def test_nothing_is_running(tmp_path: Path) -> None:
    outcome = await stockward("demo", cwd=tmp_path)
    assert (outcome.code, outcome.out) == (3, "")
    assert outcome.err == (
        f"✗ No stack was found: {tmp_path} and the folders above it have no .stockward. Start one with `make run`\n"
    )


@pytest.mark.parametrize("patience", ["0", "soon"])
async def test_a_wrong_option(tmp_path: Path, patience: str) -> None:
    outcome = await stockward("demo", "--patience", patience, cwd=tmp_path)
    assert (outcome.code, outcome.out) == (2, "")
    assert "--patience" in outcome.err
