"""TLS of the gRPC server: who is let in, certificates that change, and files that cannot be used."""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from stockward_client import AsyncStockward
from stockward_dev import free_port
from stockward_server.bootstrap.database import ensure_key
from stockward_server.bootstrap.server import running_server
from stockward_server.bootstrap.transport import check_transport
from stockward_server.config import Plaintext, Settings, SettingsError
from stockward_server.observability.certificates import expiry_of
from stockward_server.runtime import certificates
from stockward_server.runtime.certificates import CertificateFiles, Pem, ServerCertificates
from tests.authority import DAY, Authority, put, signed
from tests.events import until
from tests.scrape import scrape, value
from tests.shop import KEYS, is_answered
from tests.terminal import clean_environment, stockward

Start = Callable[..., Any]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def tls(settings: Settings, authority: Authority) -> Callable[..., Settings]:
    """Settings of a server with a certificate, on a free port."""

    def make(**fields: Any) -> Settings:
        cert, key = authority.issue("server", "first")
        address = f"127.0.0.1:{free_port()}"
        update = {"grpc_address": address, "tls_cert": cert, "tls_key": key, **fields}
        return Settings.model_validate({**settings.model_dump(exclude_unset=True), **update})

    return make


def credentials(authority: Authority, pair: tuple[Path, Path] | None = None) -> grpc.ChannelCredentials:
    cert, key = (file.read_bytes() for file in pair) if pair else (None, None)
    return grpc.ssl_channel_credentials(authority.ca.read_bytes(), key, cert)


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[str]:
    await ensure_key(settings, "pms", "pms", KEYS["pms"])
    async with running_server(settings):
        yield settings.grpc_address


def client(address: str, credentials: grpc.ChannelCredentials, **options: Any) -> AsyncStockward:
    alone = [("grpc.use_local_subchannel_pool", 1)]
    return AsyncStockward(address, KEYS["pms"], credentials=credentials, options=alone, timeout=30.0, **options)


async def shown(address: str, authority: Authority, pair: tuple[Path, Path] | None = None) -> str:
    """The name in the certificate that a new connection is shown."""

    def look() -> str:
        context = ssl.create_default_context(cafile=str(authority.ca))
        context.set_alpn_protocols(["h2"])
        if pair:
            context.load_cert_chain(*map(str, pair))
        host, _, port = address.rpartition(":")
        with (
            socket.create_connection((host, int(port)), timeout=30) as plain,
            context.wrap_socket(plain, server_hostname=host) as connection,
        ):
            subject: Any = connection.getpeercert()
            return str(subject["subject"][0][0][1])

    return await asyncio.to_thread(look)


async def test_a_call_over_tls(tls: Callable[..., Settings], authority: Authority) -> None:
    async with serving(tls()) as address, client(address, credentials(authority)) as staff:
        assert not (await staff.inventory.verify_stock()).discrepancies


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1:DeprecationWarning")
async def test_tls_1_1_is_refused(tls: Callable[..., Settings], authority: Authority) -> None:
    context = ssl.create_default_context(cafile=str(authority.ca))
    context.set_alpn_protocols(["h2"])
    context.set_ciphers("DEFAULT@SECLEVEL=0")  # else this side refuses, and with another error
    context.minimum_version = ssl.TLSVersion.TLSv1_1
    async with serving(tls()) as address:
        host, _, port = address.rpartition(":")
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        _, writer = await asyncio.open_connection(host, int(port), ssl=context)
        writer.close()
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises((ConnectionError, ssl.SSLEOFError)):
            await asyncio.open_connection(host, int(port), ssl=context)


async def test_a_new_certificate_is_shown_to_new_connections_while_old_ones_live_on(
    tls: Callable[..., Settings], authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(tls()) as address, client(address, credentials(authority)) as staff:
        await staff.inventory.verify_stock()
        assert await shown(address, authority) == "first"

        cert = (authority.directory / "server.pem").read_bytes()
        put(authority.directory / "server.pem", cert[: len(cert) // 2])
        await until(lambda: "cert: expected certificates in PEM" in caplog.text)
        assert await shown(address, authority) == "first"
        authority.issue("server", "late", ends=-DAY / 2)
        await until(lambda: "cert: expected a valid certificate" in caplog.text)
        assert await shown(address, authority) == "first"

        authority.issue("server", "second")

        async def is_shown() -> bool:
            return await shown(address, authority) == "second"

        await until(is_shown)
        await staff.inventory.verify_stock()
        assert caplog.text.count("cert: expected certificates in PEM") == 1, "a fault is told once"


async def test_what_has_not_changed_is_not_checked_again(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An RSA key takes up to half a second of a processor, and the files are looked at every second."""
    checked: list[str] = []

    def counted(work: Callable[..., Any]) -> Callable[..., Any]:
        def count(*arguments: Any) -> Any:
            checked.append(work.__name__)
            return work(*arguments)

        return count

    monkeypatch.setattr(Pem, "check", counted(Pem.check))
    monkeypatch.setattr(certificates, "load_pem_private_key", counted(load_pem_private_key))
    rsa_key = rsa.generate_private_key(65537, 2048)
    used = ServerCertificates(CertificateFiles(*authority.issue("server", "first", key=rsa_key)))
    for _ in range(3):
        await used.reload()
    assert checked == ["check", "load_pem_private_key"]
    of_another(authority)
    for _ in range(3):
        await used.reload()
    assert checked[2:] == ["check"] * 3, "the key is the same"
    assert caplog.text.count("the private key of the certificate, and this is another one's") == 1


async def test_the_metric_tells_of_the_certificate_that_is_shown(
    tls: Callable[..., Settings], authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    cert, admin = authority.directory / "server.pem", f"127.0.0.1:{free_port()}"

    async def told() -> float:
        name = "stockward_certificate_expiry_timestamp_seconds"
        return value(await scrape(admin), name, certificate="STOCKWARD_TLS_CERT")

    async def is_told() -> bool:
        return await told() == expiry_of(cert).timestamp()

    async with running_server(tls(), admin):
        assert await is_told()
        first = await told()
        other, _ = authority.issue("other", "other", ends=9 * DAY)
        put(cert, other.read_bytes())
        await until(lambda: "this is another one's" in caplog.text)
        assert await told() == first, "and not when the new one ends, which is of no use"
        authority.issue("server", "second", ends=9 * DAY)
        await until(is_told)


def test_an_expired_certificate_keeps_no_new_roots_out(authority: Authority) -> None:
    cert, key = (file.read_bytes() for file in authority.issue("server", "late", ends=-DAY / 2))
    used = Pem(cert, key, authority.ca.read_bytes())
    Pem(cert, key, Authority(authority.directory, "other").ca.read_bytes()).check(used)
    with pytest.raises(certificates.CertificateError, match="expected certificates in PEM"):
        Pem(cert, key, b"torn").check(used)


async def test_with_a_root_for_clients_only_they_are_let_in(
    tls: Callable[..., Settings], authority: Authority, tmp_path: Path
) -> None:
    others = tmp_path / "others"
    others.mkdir()
    strange = Authority(others, "strange").issue("client", "somebody")
    known = authority.issue("client", "pms")
    async with serving(tls(tls_client_ca=authority.ca)) as address:
        async with client(address, credentials(authority, known)) as staff:
            await staff.inventory.verify_stock()
        for pair in (None, strange):
            async with grpc.aio.secure_channel(address, credentials(authority, pair)) as channel:
                check: Any = channel.unary_unary("/grpc.health.v1.Health/Check")
                with pytest.raises(grpc.aio.AioRpcError) as error:
                    await check(b"", timeout=30)
                assert error.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_the_roots_of_clients_may_change_too(tls: Callable[..., Settings], authority: Authority) -> None:
    other = Authority(authority.directory, "other")
    pair = other.issue("client", "pms")
    clients = authority.directory / "clients.pem"
    put(clients, authority.ca.read_bytes())
    async with serving(tls(tls_client_ca=clients)) as address:
        put(clients, authority.ca.read_bytes() + other.ca.read_bytes())

        async def is_let_in() -> bool:
            async with grpc.aio.secure_channel(address, credentials(authority, pair)) as channel:
                return await is_answered(channel, seconds=30)

        await until(is_let_in)


@pytest.mark.long
async def test_staff_commands_speak_tls(tls: Callable[..., Settings], authority: Authority, tmp_path: Path) -> None:
    cert, key = authority.issue("client", "ada")
    settings = tls(tls_client_ca=authority.ca)
    async with serving(settings) as address:
        named = {"STOCKWARD_ADDRESS": address, "STOCKWARD_KEY": KEYS["pms"], "STOCKWARD_SERVER_CA": str(authority.ca)}
        shown = {"STOCKWARD_CLIENT_CERT": str(cert), "STOCKWARD_CLIENT_KEY": str(key)}
        listed = await stockward("orders", "list", "--json", cwd=tmp_path, **named, **shown)
        assert (listed.code, listed.json["orders"]) == (0, []), listed.err
        doctor = await stockward("doctor", "--json", cwd=tmp_path, **variables_of(settings), **named, **shown)
        (server,) = [each for each in doctor.json["findings"] if each["check"] == "server"]
        assert (server["verdict"], server["found"]) == ("ok", f"serves at {address}")
        nameless = await stockward("orders", "list", cwd=tmp_path, **named)
        assert nameless.code == 3
        missing = await stockward("orders", "list", cwd=tmp_path, **(named | {"STOCKWARD_SERVER_CA": "none.pem"}))
        assert missing.code == 2
        assert "STOCKWARD_SERVER_CA: expected a readable file in PEM" in missing.err


@pytest.mark.long
async def test_workers_speak_tls(tls: Callable[..., Settings], authority: Authority) -> None:
    settings = tls()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "stockward_server.cli", "serve", "--workers", "2"),
        env={**clean_environment(), **variables_of(settings)},
    )
    address = settings.grpc_address

    async def is_shown(name: str) -> bool:
        try:
            return {await shown(address, authority) for _ in range(6)} == {name}
        except OSError:
            return False

    try:
        await until(lambda: is_shown("first"), 60)
        authority.issue("server", "second")
        await until(lambda: is_shown("second"))
    finally:
        process.terminate()
        await process.wait()


@pytest.mark.long
async def test_a_server_with_a_bad_certificate_says_so_and_ends(
    tls: Callable[..., Settings], authority: Authority, tmp_path: Path
) -> None:
    settings = tls()
    torn(authority)
    refused = await stockward("serve", "--workers", "2", cwd=tmp_path, **variables_of(settings))
    assert refused.code == 2
    assert "STOCKWARD_TLS_KEY: expected a private key in PEM" in refused.err


def variables_of(settings: Settings) -> dict[str, str]:
    return {
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "EVENT_QUEUE_URL": settings.event_queue_url.get_secret_value(),
        "STOCKWARD_GRPC_ADDRESS": settings.grpc_address,
        "STOCKWARD_TLS_CERT": str(settings.tls_cert),
        "STOCKWARD_TLS_KEY": str(settings.tls_key),
    }


def torn(authority: Authority) -> None:
    file = authority.directory / "server.key"
    put(file, file.read_bytes()[:60])


def of_another(authority: Authority) -> None:
    other, _ = authority.issue("other", "other")
    put(authority.directory / "server.pem", other.read_bytes())


def encrypted(authority: Authority) -> None:
    _, key = signed("x")
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    put(authority.directory / "server.key", pem)


FAULTS: dict[str, tuple[str, Callable[[Authority], object]]] = {
    "no certificate": ("TLS_CERT: expected a readable file", lambda a: (a.directory / "server.pem").unlink()),
    "no key": ("TLS_KEY: expected a readable file", lambda a: (a.directory / "server.key").unlink()),
    "no root": ("TLS_CLIENT_CA: expected a readable file", lambda a: a.ca.unlink()),
    "empty certificate": ("TLS_CERT: expected certificates in PEM", lambda a: put(a.directory / "server.pem", b"")),
    "torn root": ("TLS_CLIENT_CA: expected certificates in PEM", lambda a: put(a.ca, a.ca.read_bytes()[:99])),
    "torn key": ("TLS_KEY: expected a private key in PEM", torn),
    "encrypted key": ("TLS_KEY: expected a private key that is not encrypted", encrypted),
    "key of another": ("TLS_KEY: expected the private key of the certificate", of_another),
    "ended": (
        "TLS_CERT: expected a valid certificate, and this one ended",
        lambda a: a.issue("server", "x", ends=timedelta(seconds=-1)),
    ),
    "not begun": (
        "TLS_CERT: expected a valid certificate, and this one begins",
        lambda a: a.issue("server", "x", begins=DAY, ends=2 * DAY),
    ),
    "huge": ("TLS_CERT: expected a file in PEM of up", lambda a: put(a.directory / "server.pem", b" " * 2**20 + b"x")),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_files_that_cannot_be_used_are_refused_at_start(
    tls: Callable[..., Settings], authority: Authority, name: str
) -> None:
    expected, spoil = FAULTS[name]
    settings = tls(tls_client_ca=authority.ca)
    spoil(authority)
    with pytest.raises(SettingsError) as refusal:
        check_transport(settings)
    (problem,) = refusal.value.problems
    assert problem.startswith(f"STOCKWARD_{expected}")


@pytest.mark.parametrize("address", ["0.0.0.0:1", "[::]:1", "10.1.2.3:1", "stockward.example:1"])
def test_plaintext_is_for_loopback_only(settings: Settings, authority: Authority, address: str) -> None:
    def told(**fields: Any) -> Settings:
        return settings.model_copy(update={"grpc_address": address, **fields})

    with pytest.raises(SettingsError, match="STOCKWARD_GRPC_ADDRESS: expected a loopback address"):
        check_transport(told())
    check_transport(told(plaintext=Plaintext.ANYWHERE))
    cert, key = authority.issue("server", "x")
    check_transport(told(tls_cert=cert, tls_key=key))
    for loopback in ("127.0.0.1:1", "[::1]:1", "localhost:1"):
        check_transport(told(grpc_address=loopback))
