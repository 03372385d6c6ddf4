"""The OpenAPI document: valid, complete, served, and true of the running edge."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from stockward_server.edge.contract import installed_contract, routes
from stockward_server.edge.pages import pages
from tests.edge.caller import Edge
from tests.shop import KEYS, Shop

DOCUMENT: dict[str, Any] = json.loads(pages()[0].text)
OPERATIONS = [(path, verb, operation) for path, verbs in DOCUMENT["paths"].items() for verb, operation in verbs.items()]


def test_it_is_valid() -> None:
    assert DOCUMENT["openapi"] == "3.1.0"
    from openapi_spec_validator import validate  # it takes seconds: not for those who run other tests

    validate(DOCUMENT)


def test_every_route_is_in_it() -> None:
    assert len(OPERATIONS) == len(routes(installed_contract()))
    assert {operation["summary"] for *_, operation in OPERATIONS} == {
        r.method.name for r in routes(installed_contract())
    }


@pytest.mark.parametrize("operation", [each[2] for each in OPERATIONS], ids=lambda each: str(each["operationId"]))
def test_everything_is_described(operation: dict[str, Any]) -> None:
    assert operation["description"].strip().partition("\n")[0]
    assert operation.get("security") == [] or operation["x-roles"][-1] == "admin"
    assert all(parameter.get("description") for parameter in operation["parameters"])
    assert {"200", "400", "401", "403", "404", "409", "429", "503"} <= set(operation["responses"])


def test_rules_are_constraints() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    line = schemas["stockward.order.v1.CreateOrderRequest.Line"]
    assert line["required"] == ["sku", "quantity"]
    assert line["additionalProperties"] is False
    assert (line["properties"]["sku"]["minLength"], line["properties"]["sku"]["maxLength"]) == (1, 64)
    assert (line["properties"]["quantity"]["minimum"], line["properties"]["quantity"]["maximum"]) == (1, 10**9)
    lines = schemas["stockward.order.v1.CreateOrderRequest"]["properties"]["lines"]
    assert lines["maxItems"] == 1000
    assert schemas["stockward.inventory.v1.AdjustStockRequest"]["oneOf"] == [
        {"required": ["delta"]},
        {"required": ["onHand"]},
    ]
    assert schemas["stockward.order.v1.Order"]["description"] == "An order of a customer."
    assert "INSUFFICIENT_STOCK" in DOCUMENT["x-error-reasons"]


async def test_it_is_served_with_a_page_to_read_it(edge: Edge) -> None:
    answer = await edge.call("GET", "/openapi.json", by=None)
    assert answer.json == DOCUMENT
    page = await edge.call("GET", "/docs", by=None)
    assert (page.http, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert b"https://" not in page.body, "it needs nothing from elsewhere"
    assert (await edge.call("POST", "/docs", by=None)).reason == "METHOD_NOT_ALLOWED"


@pytest.mark.long
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value)
async def test_whatever_is_sent_the_answer_is_as_described(edge: Edge, edge_shop: Shop, mode: GenerationMode) -> None:
    await asyncio.to_thread(fuzz, edge.url, mode)


def fuzz(url: str, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_dict(DOCUMENT)
    schema.config.update(base_url=url)
    checks = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()

        @seed(1)
        @settings(
            max_examples=6,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def send(case: schemathesis.Case[Any]) -> None:
            case.call_and_validate(checks=checks, headers={"authorization": f"Bearer {KEYS['admin']}"})

        send()
