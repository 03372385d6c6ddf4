"""What the edge serves by itself: the OpenAPI document, and a page that makes it readable."""

from __future__ import annotations

from importlib import resources

from stockward_server.edge.parts import Page


def pages() -> list[Page]:
    """`/openapi.json` and `/docs`. The page needs nothing from elsewhere."""
    document = resources.files("stockward") / "openapi.json"
    reader = resources.files("stockward_server.edge") / "docs.html"
    return [
        Page("/openapi.json", "application/json", document.read_text(encoding="utf-8")),
        Page("/docs", "text/html; charset=utf-8", reader.read_text(encoding="utf-8")),
    ]
