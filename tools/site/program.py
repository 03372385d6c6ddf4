"""Pages of the program: its commands, settings and metrics."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path

import typer
from typer.cli import get_docs_for_click
from typer.main import get_command

from stockward_server.cli import app
from stockward_server.config import Settings, variables
from tools.site.text import cell, prose

OURS = ("stockward_", "rpc_", "db_client_", "messaging_", "http_client_")
"""How names of metrics begin."""

KINDS = {"counter": "counter", "gauge": "gauge", "histogram": "histogram"}


def pages(source: Path) -> Iterator[tuple[str, str]]:
    """Yields path and Markdown of every page that is made from the program, whose code is in the folder `source`."""
    yield "reference/command-line.md", command_line()
    yield "reference/settings.md", "".join(settings())
    yield "reference/metrics.md", "".join(metrics(source))


def command_line() -> str:
    """Returns the page of all commands, as the program describes itself."""
    command = get_command(app)
    context = typer.Context(command, info_name="stockward")
    return get_docs_for_click(obj=command, ctx=context, name="stockward", title="Command line")


def settings() -> Iterator[str]:
    """Yields the page of all settings: variable, default and meaning."""
    yield (
        "# Settings\n\nEnvironment variables, or lines of `.env` in the current directory. `stockward config` shows "
        "the values in force. What production expects of them is in "
        "[secure a deployment](../how-to/operator/secure-a-deployment.md).\n\n"
    )
    for name, field in variables().items():
        about = Settings.model_fields[field]
        default = about.default.value if isinstance(about.default, Enum) else about.default
        shown = "not set" if default is None else f"`{default}`" if str(default) else "empty"
        yield f"### {name} {{ #{name} }}\n\n{prose(about.description or '')}\n\nDefault: {shown}\n\n"


def metrics(source: Path) -> Iterator[str]:
    """Yields the page of all metrics: every call in the code that names one and says what it means."""
    yield (
        "# Metrics\n\nEach process has them at `/metrics` of its "
        "[admin port](../how-to/operator/observability.md#ports). Durations are in seconds; the names of counters end "
        "with `_total`.\n\n| Metric | Kind | What it counts | Labels |\n|---|---|---|---|\n"
    )
    for name, (kind, text, labels) in sorted(found_metrics(source).items()):
        yield f"| `{name}` | {kind} | {cell(text)} | {', '.join(f'`{each}`' for each in labels)} |\n"


def found_metrics(source: Path) -> dict[str, tuple[str, str, tuple[str, ...]]]:
    """Returns kind, meaning and, where they are literal, labels of each metric, by its name."""
    found = {}
    for file in sorted(source.rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        named = {
            each.targets[0].id: each.value
            for each in ast.walk(tree)
            if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name)
        }
        for call in ast.walk(tree):
            if not isinstance(call, ast.Call) or len(call.args) < 2:
                continue
            called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            kind = next((kind for word, kind in KINDS.items() if called.lower().startswith(word)), "")
            given = [named.get(each.id, each) if isinstance(each, ast.Name) else each for each in call.args[:2]]
            texts = [each.value for each in given if isinstance(each, ast.Constant)]
            if kind and len(texts) == 2 and all(isinstance(each, str) for each in texts):
                name, text = map(str, texts)
                if name.startswith(OURS):
                    found[name + ("_total" if kind == "counter" else "")] = kind, text, _labels(call, named)
    return found


def _labels(call: ast.Call, named: Mapping[str, ast.expr]) -> tuple[str, ...]:
    given = call.args[2] if len(call.args) > 2 else None
    given = named.get(given.id) if isinstance(given, ast.Name) else given
    elements = given.elts if isinstance(given, ast.Tuple | ast.List) else []
    return tuple(str(each.value) for each in elements if isinstance(each, ast.Constant))
