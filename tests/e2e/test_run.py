"""`stockward run`: one command brings everything up, keeps it up, and takes it all down."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import stat
import sys
from collections.abc import Iterator
from contextlib import closing

import asyncpg
import nats
import nats.errors
import pytest

from stockward_server.config import WEBHOOK_SECRETS, variable
from stockward_server.runtime.probes import answers, grpc_serves, listens
from tests.authority import Authority
from tests.events import stored, until
from tests.stack import Stack, alive, new_stack, wait_until
from tests.terminal import stockward

pytestmark = pytest.mark.long

CHILDREN = ("postgres", "nats", "relay", "gateway", "server", "edge")


async def ignore(_: Exception) -> None:
    """What matters is raised."""


@pytest.fixture
def stack() -> Iterator[Stack]:
    yield from new_stack()


@pytest.fixture(scope="module")
def shared() -> Iterator[Stack]:
    """A stack that is up, for tests that leave it as they found it."""
    for stack in new_stack():
        stack.up(STOREFRONT_WEBHOOK_URL="http://127.0.0.1:9/hook")
        yield stack


async def test_everything_is_up_and_run_json_says_where(shared: Stack) -> None:
    running = shared.running

    assert stat.S_IMODE(shared.run_file.stat().st_mode) == 0o600
    assert stat.S_IMODE((shared.home / "keys.json").stat().st_mode) == 0o600
    assert await grpc_serves(running["grpc"])
    assert await listens(running["gateway"].removeprefix("http://"))
    await until(lambda: answers(f"{running['edge']}/healthz", 10))  # once it has found the server well
    connection = await asyncpg.connect(running["database"])
    assert await connection.fetchval("SELECT current_setting('synchronous_commit')") == "on"
    await connection.close()
    client = await nats.connect(running["nats"])
    assert (await client.jetstream(prefix=running["nats_api"]).stream_info("STOCKWARD")).config.deny_purge
    await client.close()
    with pytest.raises(nats.errors.Error):
        await nats.connect(f"nats://{running['nats'].rpartition('@')[2]}", allow_reconnect=False, error_cb=ignore)
    for role in ("pms", "storefront", "admin"):
        assert re.fullmatch(rf"swk_{role}_[a-z2-7]{{32}}", running["keys"][role])
    secrets = running["webhook_secrets"]
    assert set(secrets) == {variable(field) for field in WEBHOOK_SECRETS}
    assert all(re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", secret) for secret in secrets.values())
    assert len(set(secrets.values())) == 4, "one secret for each party and direction"
    assert set(running["pids"]) == {"supervisor", *CHILDREN}
    assert all(alive(pid) for pid in running["pids"].values())


def test_the_terminal_shows_addresses_and_no_secrets(shared: Stack) -> None:
    running = shared.running
    assert running["grpc"] in shared.output
    assert running["gateway"] in shared.output
    assert running["edge"] in shared.output
    secrets = [*running["keys"].values(), *running["webhook_secrets"].values(), running["nats"]]
    assert not [secret for secret in secrets if secret in shared.output]


def test_a_second_start_is_refused(shared: Stack) -> None:
    second = shared.once()
    assert second.returncode == 1
    assert f"already running in {shared.home} (pid {shared.running['pids']['supervisor']}" in second.stderr
    assert shared.running["grpc"] in second.stderr
    assert "Traceback" not in second.stderr


@pytest.mark.parametrize("name", CHILDREN)
async def test_a_killed_process_comes_back_at_its_address(shared: Stack, name: str) -> None:
    before = shared.running
    os.kill(before["pids"][name], signal.SIGKILL)

    wait_until(lambda: shared.running["pids"].get(name, before["pids"][name]) != before["pids"][name])

    after = shared.running
    assert {**after, "pids": None} == {**before, "pids": None}
    if name == "postgres":
        await (await asyncpg.connect(after["database"])).close()
    elif name == "nats":
        await (await nats.connect(after["nats"])).close()
    elif name == "gateway":
        assert await listens(after["gateway"].removeprefix("http://"))
    elif name == "server":
        assert await grpc_serves(after["grpc"])
    elif name == "edge":
        await until(lambda: answers(f"{after['edge']}/healthz", 10))
    assert alive(after["pids"][name])
    assert "was killed by SIGKILL; starting it again" in shared.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_every_process(stack: Stack, number: signal.Signals) -> None:
    pids = stack.up()["pids"].values()

    assert stack.signal(number) == 0

    assert not [pid for pid in pids if alive(pid)]
    assert not stack.run_file.exists()
    stopped = re.findall(r"✓ (\w+) stopped", stack.output)
    assert stopped == ["edge", "server", "gateway", "relay", "NATS", "PostgreSQL"]


def test_a_second_signal_kills_what_does_not_end(stack: Stack) -> None:
    pids = stack.up(STOCKWARD_SHUTDOWN_GRACE_SECONDS="600")["pids"]  # more than the test has
    os.kill(pids["server"], signal.SIGSTOP)
    os.kill(pids["supervisor"], signal.SIGINT)
    wait_until(lambda: "edge stopped" in stack.output)  # the server is next

    assert stack.signal(signal.SIGINT) == 0

    assert re.findall(r"! (\w+) had to be killed", stack.output) == ["server"]
    assert not [pid for pid in pids.values() if alive(pid)]


def test_a_stop_while_starting_leaves_nothing(stack: Stack) -> None:
    stack.launch()
    wait_until(lambda: (stack.home / "locks" / "postgres").exists())
    assert stack.signal(signal.SIGINT) == 0
    assert not stack.run_file.exists()
    for lock in (stack.home / "locks").iterdir():
        assert not alive(int(lock.read_text() or 0))


async def test_data_and_keys_survive_a_restart(stack: Stack) -> None:
    before = stack.up()
    connection = await asyncpg.connect(before["database"])
    await connection.execute("CREATE TABLE kept_by_test AS SELECT 42 AS answer")
    await connection.close()
    client = await nats.connect(stack.nats_publisher)
    await client.jetstream().publish("stockward.v1.kept", b"message")
    await client.close()
    stack.signal(signal.SIGINT)

    after = stack.up()

    assert (after["keys"], after["webhook_secrets"]) == (before["keys"], before["webhook_secrets"])
    connection = await asyncpg.connect(after["database"])
    assert await connection.fetchval("SELECT answer FROM kept_by_test") == 42
    await connection.close()
    assert [each.data for each in await stored(after["nats"], api=after["nats_api"])] == [b"message"]


async def test_a_port_in_use_is_replaced_and_kept(stack: Stack) -> None:
    """That of the demo, too; at the next start they are the same, although the first ones are free again."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        names = ("STOCKWARD_GRPC_ADDRESS", "STOCKWARD_EDGE_ADDRESS", "STOCKWARD_DEMO_ADDRESS")
        addresses = dict.fromkeys(names, f"127.0.0.1:{port}")
        running = stack.up(**addresses)

    assert running["grpc"] != f"127.0.0.1:{port}"
    assert await grpc_serves(running["grpc"])
    await until(lambda: answers(f"{running['edge']}/healthz", 10))  # once it has found the server well
    for url in (running["grpc"], running["edge"], running["webhooks"]["pms"].removesuffix("/pms")):
        assert f"port {port} is in use, taking {url.rpartition(':')[2]} instead" in stack.output

    stack.signal(signal.SIGINT)
    again = stack.up(**addresses)

    assert {**again, "pids": None} == {**running, "pids": None}
    assert await grpc_serves(again["grpc"])


async def test_each_migration_is_printed_once(stack: Stack) -> None:
    running = stack.up()
    connection = await asyncpg.connect(running["database"])
    applied = [row["migration_id"] for row in await connection.fetch("SELECT migration_id FROM _pogo_migration")]
    await connection.close()
    assert len(applied) > 20
    assert {name: stack.output.count(name) for name in applied} == dict.fromkeys(applied, 1)

    stack.signal(signal.SIGINT)
    stack.up()

    assert not [name for name in applied if name in stack.output]


async def test_commands_find_the_stack_from_any_folder_below(shared: Stack) -> None:
    below = shared.directory / "shop" / "scripts"
    below.mkdir(parents=True)

    listed = await stockward("orders", "list", "--json", cwd=below)

    assert (listed.code, listed.err) == (0, "")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with a killed parent")
def test_a_killed_supervisor_leaves_nothing_behind(stack: Stack) -> None:
    pids = stack.up()["pids"]
    os.kill(pids["supervisor"], signal.SIGKILL)

    wait_until(lambda: not any(alive(pid) for pid in pids.values()), 30)

    assert not set(stack.up()["pids"].values()) & set(pids.values())


async def test_everything_speaks_tls_where_it_is_told_to(stack: Stack) -> None:
    authority = Authority(stack.directory)
    variables = {"STOCKWARD_SERVER_CA": authority.ca, "STOCKWARD_TLS_CLIENT_CA": authority.ca}
    for prefix in ("TLS", "CLIENT", "EDGE_TLS"):
        pair = authority.issue(prefix, prefix)
        variables |= zip((f"STOCKWARD_{prefix}_CERT", f"STOCKWARD_{prefix}_KEY"), pair, strict=True)

    running = stack.up(**{name: str(file) for name, file in variables.items()})

    assert set(running["tls"]) == {"ca", "cert", "key"}
    listed = await stockward("orders", "list", "--json", cwd=stack.directory)
    assert (listed.code, listed.json["orders"]) == (0, []), listed.err
    assert not await grpc_serves(running["grpc"]), "plaintext is refused"
    roots = ssl.create_default_context(cafile=authority.ca)

    async def is_served() -> bool:
        return await answers(f"{running['edge']}/healthz", 5, roots)

    assert running["edge"].startswith("https://")
    await until(is_served)
    assert not await answers(f"{running['edge']}/healthz".replace("https:", "http:"), 5), "plaintext is refused"
    assert stack.signal(signal.SIGINT) == 0
    assert not [pid for pid in running["pids"].values() if alive(pid)]


def test_own_secret_and_wrong_settings(stack: Stack) -> None:
    secret = "whsec_" + "QUJD" * 10
    assert set(stack.up(WEBHOOK_SECRET=secret)["webhook_secrets"].values()) == {secret}
    assert "WEBHOOK_SECRET goes with the next release" in (stack.home / "logs" / "server.log").read_text()
    stack.end()

    assert stack.launch(WEBHOOK_SECRET="my-secret", STOCKWARD_POOL_SIZE="many").wait(30) == 2

    assert "WEBHOOK_SECRET: expected whsec_" in stack.output
    assert "STOCKWARD_POOL_SIZE: expected" in stack.output
    assert not [word for word in ("my-secret", "many", "Traceback") if word in stack.output]


def test_damaged_keys_are_told_and_nothing_is_started(stack: Stack) -> None:
    stack.home.mkdir()
    (stack.home / "keys.json").write_text("{")
    assert stack.launch().wait(30) == 1
    assert "keys.json is damaged" in stack.output
    assert "Traceback" not in stack.output
    assert not list((stack.home / "locks").iterdir())
