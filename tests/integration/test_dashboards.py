"""The dashboard and the alerts speak of metrics that there are, and name chapters of the runbook that there are."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from stockward_dev import free_port
from stockward_server.bootstrap.gateway import gateway
from stockward_server.bootstrap.relay import relay
from stockward_server.bootstrap.server import serve
from stockward_server.config import Settings
from stockward_server.storage.database import Pool
from tests.events import running, until
from tests.scrape import ask
from tools.site.program import found_metrics

ROOT = Path(__file__).resolve().parents[2]
DASHBOARD = json.loads((ROOT / "deploy/grafana/stockward.json").read_text())
ALERTS = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text())

DISK_ALERTS = yaml.safe_load((ROOT / "deploy/prometheus/disks.yaml").read_text())
"""On metrics of node_exporter, which no process of ours has."""

RUNBOOK = ROOT / "docs" / "how-to" / "operator" / "runbook.md"

OF_PROMETHEUS = {"le", "job", "instance"}
"""Labels that a scrape adds, or that belong to the type of a metric."""

SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}


def expressions() -> list[str]:
    queries = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]
    return queries + [rule["expr"] for group in ALERTS["groups"] for rule in group["rules"]]


def names_in(query: str) -> tuple[set[str], set[str]]:
    """Metrics of a query, and the labels that it matches or groups by; ValueError where it is none."""
    metrics: set[str] = set()
    labels: set[str] = set()

    def visit(part: promql_parser.Expr) -> None:
        if isinstance(part, promql_parser.VectorSelector):
            metrics.add(str(part.name))
            labels.update(matcher.name for matcher in part.matchers.matchers)
        elif isinstance(part, promql_parser.AggregateExpr) and part.modifier:
            labels.update(part.modifier.labels)

    promql_parser.walk(promql_parser.parse(query.replace("$__rate_interval", "5m")), visit)
    return metrics, labels


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
    unknown = {query: names for query in expressions() if (names := names_in(query)[0] - known)}
    assert not unknown
    documented = (ROOT / "docs/how-to/operator/observability.md").read_text()
    ours = {name for name in known if name.startswith("stockward_")}
    base = {re.sub("_(total|bucket|count|sum)$", "", name) for name in ours}
    assert not [name for name in base if not _is_documented(name, documented)]
    assert base <= {name.removesuffix("_total") for name in found_metrics(ROOT / "server")}


def _is_documented(name: str, text: str) -> bool:
    """By its whole name, or by its last part behind one that begins as it does."""
    if re.search(rf"\b{name}(_total|_bucket|_count|_sum)?\b", text):
        return True
    parts = name.split("_")
    return any(
        re.search(rf"\b{'_'.join(parts[:at])}\w*`, .*`_{'_'.join(parts[at:])}(_total)?`", text)
        for at in range(2, len(parts))
    )


def test_a_metric_is_documented_by_its_whole_name() -> None:
    text = "| `stockward_cache_hits_total`, `_misses_total` | server | and `stockward_ready` |"
    assert all(_is_documented(name, text) for name in ("stockward_cache_hits", "stockward_cache_misses"))
    assert not any(_is_documented(name, text) for name in ("stockward_cache", "stockward_read", "stockward_ready_hits"))


def test_names_are_found_in_queries() -> None:
    query = 'histogram_quantile(0.99, sum by (le, job) (rate(a_bucket{x=~"y.*"}[5m]))) / max without (q) (b)'
    assert names_in(query) == ({"a_bucket", "b"}, {"le", "job", "x", "q"})
    with pytest.raises(ValueError, match="parenthesis"):
        names_in("sum by (le (a)")


def test_each_alert_says_what_it_means_and_where_to_read_on() -> None:
    rules: list[dict[str, Any]] = [
        rule for file in (ALERTS, DISK_ALERTS) for group in file["groups"] for rule in group["rules"]
    ]
    assert len({rule["alert"] for rule in rules}) == len(rules) == 14
    for rule in DISK_ALERTS["groups"][0]["rules"]:
        assert all(name.startswith("node_filesystem_") for name in names_in(rule["expr"])[0])
    for rule in rules:
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"]["summary"].endswith(".")
        assert rule["annotations"]["runbook_url"] == f"docs/how-to/operator/runbook.md#{rule['alert'].lower()}"
    chapters = re.findall(r"^#+ (.+)$", RUNBOOK.read_text(), re.MULTILINE)
    assert {rule["alert"] for rule in rules} <= set(chapters)


async def test_what_the_runbook_asks_the_database_it_answers(database: Pool) -> None:
    """Each statement that it has psql send, and those in its text."""
    text = RUNBOOK.read_text()
    statements = [*re.findall(r'-c "(.+?)"', text), *re.findall(r"`(SELECT .+?)`", text)]
    assert len(statements) > 10
    for statement in statements:
        if "PID" not in statement:
            await database.fetch(statement)


def test_every_label_that_they_name_is_told_by_a_process_or_by_prometheus() -> None:
    source = "".join(file.read_text() for file in (ROOT / "server/stockward_server/observability").glob("*.py"))
    known = OF_PROMETHEUS | set(re.findall(r'"([a-z_]+)"', source))
    unknown = {query: names for query in expressions() if (names := names_in(query)[1] - known)}
    assert not unknown
