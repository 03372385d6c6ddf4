"""`stockward doctor`: all is well, or it says what is not and what to do; with parts really stopped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import nats as nats_client
import nats.js.errors
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from stockward.inventory.v1 import inventory_pb2 as inventory

from stockward_dev import Nats, free_port
from stockward_dev.nats import MAX_PAYLOAD
from stockward_server import gateway, relay
from stockward_server.api.events.encoder import encode_event
from stockward_server.config import Settings, variable
from stockward_server.gateway import LOOPBACK, Egress
from stockward_server.observability import families
from stockward_server.observability.diagnostics import check_certificate
from stockward_server.observability.lost_events import newest_events
from stockward_server.storage.database import Pool, transaction
from tests.commands import locked
from tests.endpoints import endpoint_of_settings
from tests.events import STREAM, running, until
from tests.faults.wrong_clock import Clock, wrong_clock
from tests.receiver import SECRET
from tests.shop import Shop
from tests.terminal import Outcome, stockward

pytestmark = pytest.mark.long


class SmallNats(Nats):
    """One that takes messages of 1 MiB, as it does by default."""

    async def prepare(self) -> None:
        await super().prepare()
        self._configuration.write_text(self._configuration.read_text().replace(str(MAX_PAYLOAD), "1048576"))


Doctor = Callable[..., Awaitable[Outcome]]


@pytest.fixture
async def own_nats(tmp_path: Path) -> AsyncIterator[Nats]:
    async with Nats(tmp_path / "nats", durable=False) as server:
        yield server


@pytest.fixture
def doctor(shop: Shop, settings: Settings, own_nats: Nats, tmp_path: Path) -> Doctor:
    """The command, with the settings of the test's server and a NATS of its own."""

    async def doctor(*arguments: str, **changes: str) -> Outcome:
        environment = {
            variable("database_url"): settings.database_url.get_secret_value(),
            variable("event_queue_url"): own_nats.url,
            variable("grpc_address"): shop.address,
            variable("pms_webhook_secret"): SECRET,
        }
        return await stockward("doctor", *arguments, cwd=tmp_path, **environment | changes)

    return doctor


def relaying(settings: Settings, nats_url: str) -> AbstractAsyncContextManager[object]:
    """A relay, which makes the stream and publishes what there is."""
    dsn, days = settings.database_url.get_secret_value(), timedelta(days=settings.event_retention_days)
    return running(lambda stop: relay.run(dsn, nats_url, STREAM, max_age=days, poll_seconds=0.02, stop=stop))


async def relayed(settings: Settings, nats_url: str, pool: Pool) -> None:
    """Lets a relay publish what there is."""

    async def published() -> bool:
        return not await pool.fetchval("SELECT count(*) FROM outbox")

    async with relaying(settings, nats_url):
        await until(published)


async def test_a_stream_without_a_message_is_well(settings: Settings, own_nats: Nats) -> None:
    """As on a new stack: there is no message 0 to ask for."""
    client = await nats_client.connect(own_nats.url)
    stream = client.jetstream()

    async def is_made() -> bool:
        with suppress(nats.js.errors.NotFoundError):
            return bool(await stream.stream_info(STREAM))
        return False

    async with relaying(settings, own_nats.url):
        await until(is_made)
        assert await newest_events(stream, await stream.stream_info(STREAM)) == []
    await client.close()


def feeding(settings: Settings, nats_url: str, **urls: str) -> AbstractAsyncContextManager[object]:
    """A gateway, with the endpoints of the settings."""
    return running(
        lambda stop: gateway.run(
            settings.database_url.get_secret_value(),
            nats_url,
            STREAM,
            address=f"127.0.0.1:{free_port()}",
            urls=urls,
            secrets=dict.fromkeys(urls, SECRET),
            encode_event=encode_event,
            egress=Egress.of(LOOPBACK, require_https=False),
            stop=stop,
            grace_seconds=0.2,
        )
    )


async def is_fed(pool: Pool) -> bool:
    """Whether all of the stream was read."""
    count = await pool.fetchval("SELECT count(*) FROM events")
    return bool(count == await pool.fetchval("SELECT stream_seq FROM webhook_feed"))


async def test_a_relay_or_gateway_that_is_gone_is_told_at_once(
    doctor: Doctor, shop: Shop, settings: Settings, own_nats: Nats
) -> None:
    await shop.sell("A", 5)
    async with relaying(settings, own_nats.url), feeding(settings, own_nats.url, pms="http://127.0.0.1:1/"):
        await until(lambda: is_fed(shop.pool))
        both = await doctor("--json")
    neither = await doctor("--json")
    assert verdicts(both).items() >= {"relay": "ok", "gateway": "ok", "feed": "ok"}.items()
    assert verdicts(neither).items() >= {"relay": "problem", "gateway": "problem"}.items()
    assert neither.code == 1
    assert "stockward relay" in steps(neither)["relay"]
    assert "stockward gateway" in steps(neither)["gateway"]


async def test_what_the_stream_should_not_have_is_told(
    doctor: Doctor, shop: Shop, settings: Settings, tmp_path: Path
) -> None:
    await shop.sell("A", 5)
    async with SmallNats(tmp_path / "small", durable=False) as small:
        await relayed(settings, small.url, shop.pool)
        await shop.pool.execute("INSERT INTO webhook_feed VALUES ($1, 0, '')", STREAM)
        await shop.pool.execute("INSERT INTO set_aside_messages VALUES ($1, 1, 'stockward.v1.x', 'why')", STREAM)
        client = await nats_client.connect(small.url)
        for _ in range(1001):
            await client.publish("stockward.v1.order.created.a", b"")
        await client.flush()
        await client.close()
        outcome = await doctor("--json", EVENT_QUEUE_URL=small.url)
    expected = dict.fromkeys(("stream", "feed", "messages"), "warning")
    assert verdicts(outcome).items() >= expected.items()
    assert "max_payload" in steps(outcome)["stream"]
    assert "set_aside_messages" in steps(outcome)["messages"]


def verdicts(outcome: Outcome) -> dict[str, str]:
    return {each["check"]: each["verdict"] for each in outcome.json["findings"]}


def steps(outcome: Outcome) -> dict[str, str]:
    return {each["check"]: each["next_step"] for each in outcome.json["findings"] if each["next_step"]}


async def test_a_shop_that_is_well(doctor: Doctor, shop: Shop, settings: Settings, own_nats: Nats) -> None:
    await shop.sell("A", 5)
    await shop.order("A")
    await relayed(settings, own_nats.url, shop.pool)
    async with relaying(settings, own_nats.url), feeding(settings, own_nats.url):
        await until(lambda: is_fed(shop.pool))
        plain, outcome = await asyncio.gather(doctor(), doctor("--json"))
    assert plain.code == 0, plain.out
    assert "! No problem, warnings: 1" in plain.out
    assert "✗" not in plain.out
    assert "PostgreSQL 18" in plain.out
    expected = {"settings", "migrations", "clock", "outbox", "deliveries", "sweeper", "dead letters", "endpoints"}
    expected |= {"audit", "stream", "record", "server", "relay", "gateway", "messages", "feed", "lost events"}
    assert verdicts(outcome) == dict.fromkeys(expected, "ok") | {"database": "warning"}
    assert steps(outcome) == {"database": "set fsync, full_page_writes to on"}, "as the tests' PostgreSQL really has it"


async def test_what_is_wrong_is_told_with_the_next_step(
    doctor: Doctor, shop: Shop, settings: Settings, own_nats: Nats
) -> None:
    await shop.sell("A", 5)
    await relayed(settings, own_nats.url, shop.pool)
    client = await nats_client.connect(own_nats.url)
    js = client.jetstream()
    config = (await js.stream_info(STREAM)).config
    await js.update_stream(config, duplicate_window=120.0)
    await client.close()
    await endpoint_of_settings(shop.pool)
    async with shop.pool.acquire() as connection:
        await connection.execute("UPDATE endpoints SET enabled = false")
        await connection.execute("UPDATE stock SET on_hand = on_hand + 1")
        await connection.execute("INSERT INTO outbox VALUES (1, 0, now() - interval '5 min')")
        await connection.execute(
            "INSERT INTO deliveries (endpoint_id, event_id, aggregate_id, type, seq, event_time, state) "
            "VALUES ('pms', gen_random_uuid(), 'a', 'order.created', 1, now(), 3)"
        )
        newest = await connection.fetchval("SELECT max(migration_id) FROM _pogo_migration")
        await connection.execute(
            "UPDATE _pogo_migration SET migration_id = '0999_next' WHERE migration_id = $1", newest
        )

    outdated = await doctor("--json")
    assert outdated.code == 1
    assert verdicts(outdated)["migrations"] == "problem"
    assert "stockward migrate" in steps(outdated)["migrations"]
    assert "outbox" not in verdicts(outdated), "what another schema says of itself is not to be trusted"

    await shop.pool.execute(
        "INSERT INTO _pogo_migration (migration_id, migration_hash, applied, schema_name) "
        "SELECT $1, '', applied, schema_name FROM _pogo_migration WHERE migration_id = '0999_next'",
        newest,
    )
    found, shown = await asyncio.gather(doctor("--json"), doctor())
    assert found.code == shown.code == 1
    expected = {
        "outbox": "problem",
        "audit": "problem",
        "stream": "warning",
        "endpoints": "warning",
        "relay": "problem",
    }
    expected |= {"dead letters": "warning", "migrations": "warning"}
    assert verdicts(found).items() >= expected.items()
    assert "stockward relay" in steps(found)["outbox"]
    assert "stockward audit" in steps(found)["audit"]
    assert "webhooks enable" in steps(found)["endpoints"]
    assert "deliveries recover" in steps(found)["dead letters"]
    assert "✗ Problems: 3, warnings: 5" in shown.out
    assert all(step in shown.out for step in steps(found).values())


async def test_events_that_the_stream_alone_has_are_told(
    doctor: Doctor, shop: Shop, settings: Settings, own_nats: Nats
) -> None:
    """As after a restore, or on a standby that took over without having everything."""
    await shop.sell("A", 5)
    await relayed(settings, own_nats.url, shop.pool)
    async with transaction(shop.pool) as connection:
        await connection.execute("DELETE FROM events WHERE seq > (SELECT max(seq) - 2 FROM events)")
    outcome = await doctor("--json")
    (found,) = (each for each in outcome.json["findings"] if each["check"] == "record")
    assert (outcome.code, found["verdict"]) == (1, "problem")
    assert found["found"].startswith("2 of the last ")
    assert "stockward events reconcile" in found["next_step"]


async def test_what_is_behind_and_who_fails_is_told(doctor: Doctor, shop: Shop) -> None:
    await shop.sell("A", 5)
    await shop.storefront.inventory.ReserveStock(
        inventory.ReserveStockRequest(lines=[inventory.StockLine(sku="A", quantity=1)])
    )
    await endpoint_of_settings(shop.pool)
    await endpoint_of_settings(shop.pool, "storefront")
    await shop.pool.execute("UPDATE endpoints SET failing_since = now() WHERE endpoint_id = 'pms'")
    await shop.pool.execute("INSERT INTO lanes VALUES ('storefront', 'a', now() - interval '5 min')")
    async with locked(shop.pool, "A"):  # so that the sweeper has to wait
        await shop.pool.execute("UPDATE reservations SET expire_time = now() - interval '5 min'")
        outcome = await doctor("--json")
    assert verdicts(outcome).items() >= {"deliveries": "problem", "sweeper": "problem", "endpoints": "warning"}.items()
    assert "stockward gateway" in steps(outcome)["deliveries"]
    assert "sweep failed" in steps(outcome)["sweeper"]
    assert "webhooks show" in steps(outcome)["endpoints"]
    assert "failing: pms" in outcome.out


async def test_what_does_not_answer_is_a_finding_and_keeps_nobody_waiting(doctor: Doctor, shop: Shop) -> None:
    await shop.sell("A", 5)
    async with transaction(shop.pool) as connection:
        await connection.execute("LOCK TABLE outbox, allocations IN ACCESS EXCLUSIVE MODE")
        outcome = await doctor("--json")
    assert outcome.code == 1
    assert verdicts(outcome).items() >= {"database": "warning", "queues": "problem", "audit": "warning"}.items()
    assert "no answer within 5 s" in outcome.out
    assert "stockward audit" in steps(outcome)["audit"], "a ledger that is long is no problem"
    assert "server" in verdicts(outcome), "the looks after it are had"


async def test_clocks_that_disagree_are_told(doctor: Doctor, tmp_path: Path) -> None:
    library = wrong_clock(tmp_path)
    if library is None:
        pytest.skip("no C compiler: clocks cannot be turned")
    outcomes = [await doctor("--json", **Clock(library, "doctor", seconds).variables) for seconds in (20, -3600)]
    assert [verdicts(outcome)["clock"] for outcome in outcomes] == ["warning", "problem"]
    assert "NTP" in steps(outcomes[0])["clock"]


async def test_what_is_stopped_is_named(doctor: Doctor, own_nats: Nats, shop: Shop) -> None:
    await own_nats.kill()
    secret = "hunter2"
    away = "127.0.0.1:1"
    database = f"postgresql://shop:{secret}@{away}/shop"
    without_nats, without_both = await asyncio.gather(
        doctor("--json"), doctor("--json", DATABASE_URL=database, STOCKWARD_GRPC_ADDRESS=away)
    )
    assert without_nats.code == without_both.code == 1
    assert verdicts(without_nats)["stream"] == "problem"
    assert verdicts(without_nats)["migrations"] == "ok"
    assert "EVENT_QUEUE_URL" in steps(without_nats)["stream"]
    assert verdicts(without_both) | {"settings": "ok"} == {
        "settings": "ok",
        "database": "problem",
        "stream": "problem",
        "server": "warning",
    }
    assert "DATABASE_URL" in steps(without_both)["database"]
    assert secret not in without_both.out + without_both.err


async def test_wrong_settings_are_findings_too(doctor: Doctor) -> None:
    outcome = await doctor("--json", STOCKWARD_POOL_SIZE="many", WEBHOOK_SECRET="hunter2")
    assert outcome.code == 1
    assert {"STOCKWARD_POOL_SIZE", "WEBHOOK_SECRET"} == {
        each["found"].split(":")[0] for each in outcome.json["findings"]
    }
    assert "hunter2" not in outcome.out


def test_certificates(tmp_path: Path) -> None:
    now = datetime.now(UTC)

    def verdict(days: float) -> str:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "shop.example")])
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - timedelta(days=30))
            .not_valid_after(now + timedelta(days=days))
            .sign(key, hashes.SHA256())
        )
        (tmp_path / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
        return check_certificate("CERT", tmp_path / "cert.pem", now).verdict

    assert [verdict(90), verdict(10), verdict(-1)] == ["ok", "warning", "problem"]
    (metric,) = families.certificates({"CERT": tmp_path / "cert.pem", "NONE": tmp_path / "absent.pem"})
    (told,) = metric.samples
    assert (told.labels, told.value) == ({"certificate": "CERT"}, int((now - timedelta(days=1)).timestamp()))
    (tmp_path / "cert.pem").write_text("nonsense")
    assert check_certificate("CERT", tmp_path / "cert.pem", now).verdict == "problem"
    assert check_certificate("CERT", tmp_path / "absent.pem", now).verdict == "problem"


async def test_secrets_of_webhooks_that_are_missing_or_shared_are_told(doctor: Doctor) -> None:
    shared, missing = await asyncio.gather(
        doctor("--json", WEBHOOK_SECRET=SECRET), doctor("--json", STOREFRONT_WEBHOOK_URL="https://shop.example/hook")
    )
    assert verdicts(shared)["settings"] == verdicts(missing)["settings"] == "warning"
    assert "set STOREFRONT_WEBHOOK_SECRET, PMS_WEBHOOK_SECRET, STOREFRONT_INCOMING" in steps(shared)["settings"]
    (found,) = (each["found"] for each in missing.json["findings"] if each["check"] == "settings")
    assert found.startswith("STOREFRONT_WEBHOOK_SECRET not set")
