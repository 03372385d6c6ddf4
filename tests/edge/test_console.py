"""The files of the console as the edge serves them; clients/typescript/test/console.test.ts uses them in a browser."""

from __future__ import annotations

import gzip
import re

import pytest

from stockward_server.edge import console
from tests.edge.caller import Edge

ASSETS = [page.path for page in console() if "/assets/" in page.path]


@pytest.mark.parametrize("path", ["/console", "/console/", "/console/orders/0190aaaa", "/console/skus/A%2FB"])
async def test_the_page_is_served_for_every_path_and_not_kept(edge: Edge, path: str) -> None:
    answer = await edge.call("GET", path, by=None)
    assert (answer.http, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.headers["cache-control"] == "no-cache"
    for loaded in re.findall(r'(?:src|href)="([^"]+)"', answer.body.decode()):
        assert loaded in ASSETS, "only files of this origin"


@pytest.mark.parametrize("path", ["/console/", *ASSETS])
async def test_nothing_inline_runs_and_nothing_is_loaded_from_elsewhere(edge: Edge, path: str) -> None:
    answer = await edge.call("GET", path, by=None)
    policy = dict(each.strip().partition(" ")[::2] for each in answer.headers["content-security-policy"].split(";"))
    assert policy.pop("default-src") == policy.pop("frame-ancestors") == "'none'"
    assert policy.pop("base-uri") == policy.pop("form-action") == "'none'"
    assert set(policy.values()) == {"'self'"}
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert b"eval(" not in answer.body


async def test_files_are_kept_for_ever_and_sent_with_gzip(edge: Edge) -> None:
    first = 0
    for page in console():
        if page.path in ASSETS:
            answer = await edge.call("GET", page.path, by=None)
            assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert answer.headers["content-encoding"] == "gzip"
            assert answer.body.decode() == page.text, "which the client has unpacked"
            first += len(gzip.compress(page.text.encode()))
    assert first < 450_000, "the budget of a first visit, all pages included"


async def test_a_file_that_is_gone_is_no_page(edge: Edge) -> None:
    answer = await edge.call("GET", "/console/assets/index-gone.js", by=None)
    assert (answer.http, answer.reason) == (404, "ROUTE_UNKNOWN")


async def test_the_console_takes_get_only(edge: Edge) -> None:
    for path in ("/console/", ASSETS[0]):
        assert (await edge.call("POST", path, by=None)).reason == "METHOD_NOT_ALLOWED"
