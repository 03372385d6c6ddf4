"""The dashboard and the alerts speak of metrics that there are, and name chapters of the runbook that there are."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import Any

import yaml
from prometheus_client.parser import text_string_to_metric_families

from stockward_server.bootstrap.gateway import gateway
from stockward_server.bootstrap.relay import relay
from stockward_server.bootstrap.server import serve
from stockward_server.config import Settings
from stockward_server.embedded import free_port
from stockward_server.storage.database import Pool
from tests.events import running, until
from tests.scrape import ask

ROOT = Path(__file__).resolve().parents[2]
DASHBOARD = json.loads((ROOT / "deploy/grafana/stockward.json").read_text())
ALERTS = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text())

WORDS = {"histogram_quantile", "max", "min", "or", "rate", "sum", "time"}
"""Of the query language; what else is not a label is a metric."""

SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}


def expressions() -> list[str]:
    queries = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]
    return queries + [rule["expr"] for group in ALERTS["groups"] for rule in group["rules"]]


def metrics_in(query: str) -> set[str]:
    """Names in a query, without what stands in quotes, braces, brackets, and in the lists behind by."""
    query = re.sub(r'"[^"]*"', "", query)
    query = re.sub(r"\{[^}]*\}|\[[^]]*\]|\b(by|without) *\([^)]*\)", "", query)
    return set(re.findall(r"\b[a-z_][a-z0-9_]*\b", query)) - WORDS


async def told(address: str) -> set[str]:
    _, text = await ask(address, "/metrics")
    return {
        family.name + suffix
        for family in text_string_to_metric_families(text)
        for suffix in SUFFIXES.get(family.type, ("",))
    }


async def test_every_metric_that_they_name_is_told_by_a_process(settings: Settings, database: Pool) -> None:
    ports = ("grpc_address", "server_admin_address", "relay_admin_address", "gateway_address")
    settings = settings.model_copy(update={port: f"127.0.0.1:{free_port()}" for port in ports})
    addresses = [settings.server_admin_address, settings.relay_admin_address, settings.gateway_address]

    async def ready(address: str) -> bool:
        return (await ask(address, "/readyz"))[0] == 200

    async with (
        running(lambda stop: serve(settings, stop)),
        running(lambda stop: relay(settings, stop)),
        running(lambda stop: gateway(settings, stop)),
    ):
        known: set[str] = set()
        for address in addresses:
            await until(functools.partial(ready, address))
            known |= await told(address)

    assert len(expressions()) > 40
    unknown = {query: names for query in expressions() if (names := metrics_in(query) - known)}
    assert not unknown
    documented = (ROOT / "docs/observability.md").read_text()
    ours = {name for name in known if name.startswith("stockward_")}
    base = {re.sub("_(total|bucket|count|sum)$", "", name) for name in ours}
    assert not [name for name in base if not _is_documented(name, documented)]


def _is_documented(name: str, text: str) -> bool:
    """By its whole name, or by its last part behind one that begins as it does."""
    if name in text:
        return True
    parts = name.split("_")
    return any("_" + "_".join(parts[at:]) in text and "_".join(parts[:at]) in text for at in range(2, len(parts)))


def test_names_are_found_in_queries() -> None:
    query = 'histogram_quantile(0.99, sum by (le, job) (rate(a_bucket{x=~"y.*"}[5m]))) / max(b) > 14 * 86400'
    assert metrics_in(query) == {"a_bucket", "b"}


def test_each_alert_says_what_it_means_and_where_to_read_on() -> None:
    rules: list[dict[str, Any]] = [rule for group in ALERTS["groups"] for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules) == 10
    for rule in rules:
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"]["summary"].endswith(".")
        assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{rule['alert'].lower()}"
    runbook = ROOT / "docs" / "runbook.md"
    if runbook.exists():
        chapters = re.findall(r"^#+ (.+)$", runbook.read_text(), re.MULTILINE)
        assert {rule["alert"] for rule in rules} <= set(chapters)
