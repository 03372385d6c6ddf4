"""TLS on both sides of the edge: callers' and servers' certificates, and new ones while it runs."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest

from stockward_client import AsyncStockward
from stockward_dev import Envoy, Nats, free_port
from stockward_server.bootstrap.database import ensure_key
from stockward_server.bootstrap.edge import check_edge, edge_files
from stockward_server.bootstrap.server import running_server
from stockward_server.config import Settings, SettingsError, variable
from tests.authority import Authority
from tests.events import until
from tests.shop import KEYS
from tests.terminal import stockward


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
async def settings(module_database_url: str, nats: Nats, authority: Authority) -> Settings:
    """Everybody shows a certificate to everybody."""
    files = {
        name: file
        for prefix, subject in (("tls", "server"), ("edge_tls", "edge"), ("client", "edge-as-client"))
        for name, file in zip((f"{prefix}_cert", f"{prefix}_key"), authority.issue(subject, subject), strict=True)
    }
    return Settings.model_validate(
        {
            "database_url": module_database_url,
            "event_queue_url": nats.url,
            "grpc_address": f"127.0.0.1:{free_port()}",
            "edge_address": f"127.0.0.1:{free_port()}",
            "tls_client_ca": authority.ca,
            "edge_tls_client_ca": authority.ca,
            "server_ca": authority.ca,
            **files,
        }
    )


@asynccontextmanager
async def running_edge(settings: Settings, directory: Path) -> AsyncIterator[str]:
    files = edge_files(settings, directory=directory)
    async with Envoy(directory, files, address=settings.edge_address, tls=True) as envoy:
        yield envoy.url


@pytest.fixture(scope="module")
async def edge(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    await ensure_key(settings, "pms", "pms", KEYS["pms"])
    async with (
        running_server(settings),
        running_edge(settings, tmp_path_factory.mktemp("edge") / "envoy") as url,
    ):
        yield url


def context(authority: Authority, pair: tuple[Path, Path] | None) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=str(authority.ca))
    if pair:
        made.load_cert_chain(*map(str, pair))
    return made


async def get(url: str, context: ssl.SSLContext) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(
            f"{url}/api/pms/inventory/verify", ssl=context, headers={"authorization": f"Bearer {KEYS['pms']}"}
        ) as answer,
    ):
        return answer.status, json.loads(await answer.read())


async def test_rest_and_grpc_over_tls_to_a_server_with_tls(edge: str, authority: Authority) -> None:
    pair = authority.issue("caller", "caller")

    async def is_served() -> bool:
        return (await get(edge, context(authority, pair)))[0] == 200

    await until(is_served)
    cert, key = (file.read_bytes() for file in pair)
    credentials = grpc.ssl_channel_credentials(authority.ca.read_bytes(), key, cert)
    async with AsyncStockward(edge.removeprefix("https://"), KEYS["pms"], credentials=credentials) as staff:
        assert not (await staff.inventory.verify_stock()).discrepancies


async def test_who_shows_no_certificate_is_not_let_in(edge: str, authority: Authority, tmp_path: Path) -> None:
    for pair in (None, Authority(tmp_path, "strange").issue("caller", "caller")):
        with pytest.raises((aiohttp.ClientError, ssl.SSLError, ConnectionError)):
            await get(edge, context(authority, pair))


@pytest.mark.long
async def test_the_health_command_asks_an_edge_with_tls(
    settings: Settings, edge: str, authority: Authority, tmp_path: Path
) -> None:
    def told(**fields: Any) -> dict[str, str]:
        named = {"edge_tls_cert", "edge_tls_key", "edge_tls_client_ca", "client_cert", "client_key", "edge_address"}
        values = {field: getattr(settings, field) for field in named} | fields
        return {variable(field): str(value) for field, value in values.items() if value}

    async def serves(**fields: Any) -> bool:
        return (await stockward("health", "edge", cwd=tmp_path, **told(**fields))).code == 0

    assert await serves()
    assert await serves(client_cert=None, client_key=None), "it listens"
    nobody = f"127.0.0.1:{free_port()}"
    assert not await serves(client_cert=None, client_key=None, edge_address=nobody)
    alone = settings.model_copy(update={"edge_address": nobody, "grpc_address": "127.0.0.1:1"})
    async with running_edge(alone, tmp_path / "envoy"):
        assert not await serves(edge_address=nobody), "no server is behind it"
        assert await serves(edge_address=nobody, client_cert=None, client_key=None)


async def test_a_new_certificate_is_shown_to_new_callers(edge: str, authority: Authority) -> None:
    pair = authority.issue("caller", "caller")

    def look() -> str:
        host, _, port = edge.removeprefix("https://").rpartition(":")
        with (
            socket.create_connection((host, int(port)), timeout=30) as plain,
            context(authority, pair).wrap_socket(plain, server_hostname=host) as connection,
        ):
            subject: Any = connection.getpeercert()
            return str(subject["subject"][0][0][1])

    assert await asyncio.to_thread(look) == "edge"
    authority.issue("edge", "renewed")

    async def is_renewed() -> bool:
        return await asyncio.to_thread(look) == "renewed"

    await until(is_renewed)


async def test_a_server_that_somebody_else_vouches_for_is_not_called(
    settings: Settings, edge: str, authority: Authority, tmp_path: Path
) -> None:
    strange = Authority(tmp_path, "strange")
    other = settings.model_copy(
        update={"edge_address": f"127.0.0.1:{free_port()}", "server_ca": strange.ca, "edge_tls_client_ca": None}
    )
    async with running_edge(other, tmp_path / "envoy") as url:
        status, body = await get(url, context(authority, None))
    assert (status, body["details"][0]["reason"]) == (503, "SERVER_UNAVAILABLE")


async def test_the_command_writes_the_files(settings: Settings, authority: Authority, tmp_path: Path) -> None:
    environment = {
        "STOCKWARD_EDGE_TLS_CERT": str(settings.edge_tls_cert),
        "STOCKWARD_EDGE_TLS_KEY": str(settings.edge_tls_key),
        "STOCKWARD_SERVER_CA": str(authority.ca),
    }
    options = ("edge", "config", "--listen", "0.0.0.0:8443", "--upstream", "server.example:50051")
    printed = await stockward(*options, cwd=tmp_path, **environment)
    assert printed.code == 2
    assert "--directory" in printed.err
    written = await stockward(*options, "--directory", "envoy", cwd=tmp_path, **environment)
    assert written.code == 0, written.err
    assert {file.name for file in (tmp_path / "envoy").iterdir()} == {
        *("envoy.json", "callers-certificate.json", "servers-roots.json"),
    }


PLAIN: dict[str, tuple[dict[str, Any], str]] = {
    "the edge": ({"edge_address": "0.0.0.0:8080"}, "STOCKWARD_EDGE_ADDRESS: expected a loopback address"),
    "its server": ({"grpc_address": "10.0.0.1:50051"}, "STOCKWARD_SERVER_CA: required for TLS to the server 10.0.0.1"),
    "no root": ({"tls_cert": Path("c"), "tls_key": Path("k")}, "STOCKWARD_SERVER_CA: required for the edge"),
    "no certificate": (
        {"tls_cert": Path("c"), "tls_key": Path("k"), "tls_client_ca": Path("r"), "server_ca": Path("r")},
        "STOCKWARD_CLIENT_CERT: required for the edge",
    ),
}


@pytest.mark.parametrize("name", PLAIN)
def test_what_lacks_tls_is_refused(name: str) -> None:
    fields, expected = PLAIN[name]
    with pytest.raises(SettingsError, match=f"^{expected}"):
        edge_files(Settings(**fields))


def test_files_that_cannot_be_used_are_told(tmp_path: Path) -> None:
    cert, key = Authority(tmp_path).issue("edge", "edge")
    key.write_bytes(b"torn")
    with pytest.raises(SettingsError, match=r"^STOCKWARD_EDGE_TLS_KEY: expected a private key"):
        check_edge(Settings(edge_tls_cert=cert, edge_tls_key=key))
