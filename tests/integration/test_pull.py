"""The standing pull of the gateway: messages come at once and in order, and whatever ends it is noticed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig

from stockward_dev import Nats
from stockward_server.gateway import pull as module
from stockward_server.gateway.pull import StandingPull
from stockward_server.runtime.supervision import Unavailable
from tests.events import until

NAMES = {"stream": "PULL", "consumer": "reader"}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    """A client of a server with an empty stream and a consumer of it."""
    async with Nats(tmp_path / "nats") as server:
        client = await nats.connect(server.url)
        stream = client.jetstream()
        await stream.add_stream(name=NAMES["stream"], subjects=["pull.>"])
        await stream.add_consumer(NAMES["stream"], ConsumerConfig(name=NAMES["consumer"], ack_policy=AckPolicy.NONE))
        yield client
        await client.close()


async def send(client: Client, numbers: range) -> None:
    for number in numbers:
        await client.publish("pull.test", str(number).encode())


async def read(pull: StandingPull, count: int) -> list[int]:
    """Returns so many messages, as they come."""
    read: list[int] = []
    while len(read) < count:
        read += [int(message.data) for message in await pull.next()]
    return read


async def test_all_that_waits_comes_in_order_whatever_the_size_of_a_request(client: Client) -> None:
    await send(client, range(1000))
    async with StandingPull.open(client, **NAMES, batch=7) as pull:
        assert await read(pull, 1000) == list(range(1000))
        await send(client, range(1000, 1020))
        assert await read(pull, 20) == list(range(1000, 1020))


async def test_a_request_that_expires_is_made_again(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EXPIRY_SECONDS", 0.3)
    monkeypatch.setattr(module, "HEARTBEAT_SECONDS", 0.1)
    async with StandingPull.open(client, **NAMES, batch=10) as pull:
        await send(client, range(3))
        assert await read(pull, 3) == [0, 1, 2]
        await until(lambda: pull._requested == 0)
        await send(client, range(3, 6))
        assert await read(pull, 3) == [3, 4, 5]


async def test_a_message_that_is_lost_and_the_last_one_is_noticed(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HEARTBEAT_SECONDS", 0.5)
    receive = StandingPull._receive

    async def lose(pull: StandingPull, message: object) -> None:
        if getattr(message, "data", b"") != b"1":
            await receive(pull, message)  # type: ignore[arg-type]

    monkeypatch.setattr(StandingPull, "_receive", lose)
    async with StandingPull.open(client, **NAMES, batch=10) as pull:
        await send(client, range(2))
        assert await read(pull, 1) == [0]
        with pytest.raises(Unavailable, match="message 2 of the consumer was lost"):
            await pull.next()


async def test_a_consumer_that_is_gone_is_noticed(client: Client) -> None:
    await client.jetstream().delete_consumer(*NAMES.values())
    async with StandingPull.open(client, **NAMES, batch=10) as pull:
        with pytest.raises(Unavailable, match="503"):
            await pull.next()


async def test_a_server_without_a_sign_of_life_is_noticed(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SILENT_SECONDS", 0.2)
    async with StandingPull.open(client, **NAMES, batch=10) as pull:
        with pytest.raises(Unavailable, match="no sign"):
            await pull.next()
