"""One request to a receiver that misbehaves, or that must not be reached: what the sender makes of it."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from stockward_server.gateway.egress import LOOPBACK, Egress
from stockward_server.gateway.sender import EXCERPT_BYTES, Answer, Sender
from stockward_server.runtime.supervision import end
from stockward_server.storage.webhooks.claims import Endpoint
from tests.events import event, until
from tests.receiver import SECRET

ANYWHERE = Egress.of(LOOPBACK, require_https=False)
PAYLOAD = event("a", 1).SerializeToString()
ENDPOINT = Endpoint("e", 1, "", ("*",), 1, {}, None, 20_480, None, False, (SECRET,))

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Peer:
    """A server that talks as the test asks, once it has read the head of a request."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk
        self.connections = 0
        self.heads: list[bytes] = []
        self.port = 0
        self.talking = set[asyncio.Task[Any]]()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self.talking.add(task)
        task.add_done_callback(self.talking.discard)
        try:
            self.heads.append(await reader.readuntil(b"\r\n\r\n"))
            await self.talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def peer(
    talk: Talk, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Peer]:
    server = Peer(talk)
    listening = await asyncio.start_server(server.handle, host, port, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        await end(*server.talking)


async def send(
    url: str, egress: Egress = ANYWHERE, seconds: float = 5.0, resolver: AbstractResolver | None = None
) -> Answer:
    async with Sender.open(egress, timeout_seconds=seconds, resolver=resolver) as sender:
        return await sender.send(replace(ENDPOINT, url=url), "e", PAYLOAD)


def says(text: str) -> Talk:
    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(text.replace("\n", "\r\n").encode())
        await writer.drain()

    return talk


OK = says("HTTP/1.1 200 OK\ncontent-length: 2\n\nok")


# Receivers that misbehave


async def test_a_body_that_drips_holds_nobody_up() -> None:
    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\nx")
        await writer.drain()
        await asyncio.Event().wait()

    async with peer(drip) as slow:
        answer = await send(f"http://127.0.0.1:{slow.port}/", seconds=4)
    assert (answer.status, answer.error, answer.excerpt) == (200, "", "x")
    assert answer.latency_ms < 2000


async def test_a_head_that_drips_is_a_time_out() -> None:
    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        for number in range(10_000):
            writer.write(b"x-%d: y\r\n" % number)
            await writer.drain()
            await asyncio.sleep(0.02)

    async with peer(drip) as slow:
        answer = await send(f"http://127.0.0.1:{slow.port}/", seconds=0.3)
    assert (answer.status, answer.error) == (None, "no whole answer within 0.3 s")


async def test_tls_that_is_never_answered_is_given_up_as_a_connection_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stockward_server.gateway.sender.CONNECT_SECONDS", 0.2)
    async with await asyncio.start_server(never_answer, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        answer = await send(f"https://127.0.0.1:{port}/", seconds=5)
    assert (answer.status, answer.error) == (None, "no connection within 0.2 s")


async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes what comes until the other side leaves."""
    await reader.read()
    writer.close()


async def test_a_huge_body_is_not_read() -> None:
    written, closed = 0, asyncio.Event()

    async def endless(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 500 No\r\ntransfer-encoding: chunked\r\n\r\n")
        try:
            while True:
                writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
                written += 0x10000
                await writer.drain()
        finally:
            closed.set()

    async with peer(endless) as great:
        answer = await send(f"http://127.0.0.1:{great.port}/")
        await asyncio.wait_for(closed.wait(), 5)  # the connection is closed, not read to its end
    assert (answer.status, answer.error, answer.excerpt) == (500, "HTTP 500", "x" * EXCERPT_BYTES)
    assert written < 32 * 2**20  # what the buffers of the system take


async def test_a_reset_is_a_failure() -> None:
    async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    async with peer(reset) as rude:
        answer = await send(f"http://127.0.0.1:{rude.port}/")
    assert answer.status is None
    assert answer.error


@pytest.mark.parametrize(
    "text", ["SSH-2.0-OpenSSH\n", "HTTP/1.1 banana\n\n", "HTTP/1.1 200 OK\ncontent-length: x\n\n", ""]
)
async def test_what_is_no_answer_is_a_failure(text: str) -> None:
    async with peer(says(text)) as odd:
        answer = await send(f"http://127.0.0.1:{odd.port}/")
    assert answer.status is None
    assert answer.error


async def test_a_certificate_that_nobody_vouches_for_is_a_failure(tmp_path: Path) -> None:
    async with peer(OK, tls=self_signed(tmp_path)) as unknown:
        answer = await send(f"https://127.0.0.1:{unknown.port}/")
    assert answer.status is None
    assert "CERTIFICATE_VERIFY_FAILED" in answer.error
    assert unknown.heads == []


async def test_no_tls_where_tls_is_due_is_a_failure() -> None:
    async with peer(OK) as plain:
        answer = await send(f"https://127.0.0.1:{plain.port}/", seconds=2)
    assert answer.status is None
    assert answer.error


def self_signed(directory: Path) -> ssl.SSLContext:
    key = Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, None)
    )
    file = directory / "server.pem"
    file.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + certificate.public_bytes(Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


async def test_a_redirect_is_a_failure_and_not_followed() -> None:
    async with peer(OK) as elsewhere:
        moved = says(f"HTTP/1.1 307 Moved\nlocation: http://127.0.0.1:{elsewhere.port}/\ncontent-length: 0\n\n")
        async with peer(moved) as here:
            answer = await send(f"http://127.0.0.1:{here.port}/")
    assert (answer.status, answer.error) == (307, "HTTP 307")
    assert elsewhere.connections == 0


async def test_retry_after_is_read() -> None:
    async with peer(says("HTTP/1.1 429 Slow\nretry-after: 90\ncontent-length: 0\n\n")) as busy:
        answer = await send(f"http://127.0.0.1:{busy.port}/")
    assert (answer.status, answer.retry_after) == (429, timedelta(seconds=90))


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with peer(OK) as proxy, peer(OK) as target:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        answer = await send(f"http://127.0.0.1:{target.port}/")
    assert (answer.status, proxy.connections, target.connections) == (200, 0, 1)


# Addresses that must not be reached


REACHABLE = ["127.0.0.1", "localhost", "0x7f.1", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"]
ODD = ["2130706433", "0177.0.0.1", "127.1", "0"]
"""Spellings that the HTTP client does not even take for an address."""


@pytest.mark.parametrize("host", [*REACHABLE, *ODD])
async def test_however_it_is_written_this_machine_is_not_reached(host: str) -> None:
    async with peer(OK) as inside:
        url = f"http://{host}:{inside.port}/"
        refused = await send(url, Egress(require_https=False))
        assert inside.connections == 0
        assert refused.status is None
        assert ("not a canonical IPv4" if host in ODD else "not an address of the public Internet") in refused.error
        assert (await send(url)).status == (None if host in ODD else 200)
        assert inside.connections == (host in REACHABLE)


class Names(AbstractResolver):
    """Answers each question with the next of its answers."""

    def __init__(self, *answers: list[str]) -> None:
        self._answers = list(answers)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0)
            for address in self._answers.pop(0)
        ]

    async def close(self) -> None: ...


PUBLIC, PRIVATE = "127.0.0.1", "127.0.0.2"
ONLY_PUBLIC = Egress.of([f"{PUBLIC}/32"], require_https=False)
"""127.0.0.1 stands for the Internet here, 127.0.0.2 for the inside."""


async def test_a_name_that_leads_elsewhere_the_second_time_is_refused_then() -> None:
    """DNS rebinding: what counts is the address of the connection, not what a look at the name said before."""
    names = Names([PUBLIC], [PRIVATE])
    async with peer(OK) as outside, peer(OK, PRIVATE, outside.port) as inside:
        url = f"http://rebinding.example:{outside.port}/"
        assert (await send(url, ONLY_PUBLIC, resolver=names)).status == 200
        refused = await send(url, ONLY_PUBLIC, resolver=names)
        assert "127.0.0.2, which is not an address of the public Internet" in refused.error
        assert (outside.connections, inside.connections) == (1, 0)


async def test_of_several_addresses_only_those_that_are_public_are_tried() -> None:
    async with peer(OK) as outside, peer(OK, PRIVATE, outside.port) as inside:
        names = Names([PRIVATE, PUBLIC])
        answer = await send(f"http://mixed.example:{outside.port}/", ONLY_PUBLIC, resolver=names)
        assert (answer.status, outside.connections, inside.connections) == (200, 1, 0)


async def test_http_is_refused_where_https_is_required() -> None:
    async with peer(OK) as plain:
        answer = await send(f"http://127.0.0.1:{plain.port}/", Egress.of(LOOPBACK, require_https=True))
    assert "webhooks are sent over https only" in answer.error
    assert plain.connections == 0


async def test_a_name_that_leads_nowhere_is_a_failure() -> None:
    answer = await send("http://nowhere.invalid/")
    assert answer.status is None
    assert "nowhere.invalid" in answer.error


async def test_names_without_an_answer_keep_nobody_elses_from_being_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten names whose lookup hangs, as many threads as the event loop's own pool could have."""
    hanging, end = 0, asyncio.Event()
    loop = asyncio.get_running_loop()
    real = socket.getaddrinfo

    def lookup(host: str, *arguments: object) -> object:
        nonlocal hanging
        if str(host).endswith(".hangs.example"):
            hanging += 1
            asyncio.run_coroutine_threadsafe(end.wait(), loop).result()
        return real(host, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    async with peer(OK) as healthy, Sender.open(ANYWHERE, timeout_seconds=20) as sender:
        stuck = [
            asyncio.create_task(sender.send(replace(ENDPOINT, url=f"http://{n}.hangs.example/"), "e", PAYLOAD))
            for n in range(10)
        ]
        await until(lambda: hanging == 10)
        answer = await sender.send(replace(ENDPOINT, url=f"http://localhost:{healthy.port}/"), "e", PAYLOAD)
        assert (answer.status, answer.latency_ms < 2000) == (200, True)
        end.set()
        await asyncio.gather(*stuck)
