"""A NATS server of our own: streams that last, one address, and a token."""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator
from pathlib import Path

import nats
import nats.errors
import pytest

from stockward_dev import Nats, free_port
from stockward_dev.nats import MAX_PAYLOAD


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Nats]:
    async with Nats(tmp_path / "nats", token="sesame") as server:
        yield server


async def test_streams_survive_a_crash_at_the_same_address(server: Nats) -> None:
    client = await nats.connect(server.url)
    await client.jetstream().add_stream(name="KEPT", subjects=["kept"])
    await client.jetstream().publish("kept", b"message")
    await client.close()
    url, pid = server.url, server.pid

    await server.kill()
    await server.start()

    assert server.pid != pid
    client = await nats.connect(url)
    assert (await client.jetstream().get_last_msg("KEPT", "kept")).data == b"message"
    assert client.max_payload == MAX_PAYLOAD
    await client.close()


async def test_only_who_has_the_token_is_let_in(server: Nats) -> None:
    async def ignore(_: Exception) -> None: ...

    with pytest.raises(nats.errors.Error, match="Authorization Violation"):
        await nats.connect(f"nats://127.0.0.1:{server.port}", allow_reconnect=False, error_cb=ignore)
    assert stat.S_IMODE((server.store_dir / "nats.conf").stat().st_mode) == 0o600


async def test_messages_reach_the_disk_before_they_are_acknowledged(server: Nats, tmp_path: Path) -> None:
    assert '"sync_interval": "always"' in (server.store_dir / "nats.conf").read_text()
    async with Nats(tmp_path / "quick", durable=False) as quick:
        assert '"sync_interval": "2m"' in (quick.store_dir / "nats.conf").read_text()


async def test_a_taken_port_is_seen(server: Nats) -> None:
    assert free_port(server.port) != server.port
    await server.stop()
    assert free_port(server.port) == server.port
