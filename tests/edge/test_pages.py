"""What a browser is allowed to do with what the edge answers."""

from __future__ import annotations

import pytest

from tests.edge.caller import Edge

ANSWERS = {
    "/docs": 200,
    "/openapi.json": 200,
    "/api/storefront/stock?skus=NONE": 200,
    "/api/pms/orders/seven": 400,
    "/nothing": 404,
}
"""Addresses and the statuses of their answers."""


@pytest.mark.parametrize("path", ANSWERS)
async def test_no_answer_is_shown_as_what_it_is_not(edge: Edge, path: str) -> None:
    answer = await edge.call("GET", path)
    assert answer.http == ANSWERS[path]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/docs", "/openapi.json"])
async def test_pages_load_nothing_from_elsewhere_and_stand_in_no_frame(edge: Edge, path: str) -> None:
    policy = (await edge.call("GET", path)).headers["content-security-policy"]
    directives = dict(each.strip().partition(" ")[::2] for each in policy.split(";"))
    assert directives["default-src"] == "'none'"
    assert directives["frame-ancestors"] == "'none'"
    assert "unsafe" not in policy
    assert "http" not in policy


async def test_the_address_alone_leads_to_a_page(edge: Edge) -> None:
    page = await edge.call("GET", "/", by=None)
    assert page.http == 200
    assert page.headers["content-type"].startswith("text/html")
    assert (await edge.call("POST", "/", by=None)).http == 404
