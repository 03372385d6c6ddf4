"""Pages that the edge serves itself: the OpenAPI document, and a page that renders it."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib import resources

from stockward_server.edge.parts import Page


def pages() -> list[Page]:
    """Returns `/openapi.json` and `/docs`. The page loads nothing from other sites."""
    document = resources.files("stockward") / "openapi.json"
    reader = (resources.files("stockward_server.edge") / "docs.html").read_text(encoding="utf-8")
    return [
        Page("/openapi.json", "application/json", document.read_text(encoding="utf-8")),
        Page("/docs", "text/html; charset=utf-8", reader, _policy(reader)),
    ]


def _policy(page: str) -> str:
    """Returns the Content-Security-Policy (CSP level 3) that allows only the page's own script and style."""
    script, style = (_hashes(re.findall(f"<{each}>(.*?)</{each}>", page, re.S)) for each in ("script", "style"))
    return (
        f"default-src 'none'; script-src {script}; style-src {style}; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _hashes(sources: list[str]) -> str:
    digests = (hashlib.sha256(each.encode()).digest() for each in sources)
    return " ".join(f"'sha256-{base64.b64encode(each).decode()}'" for each in digests)
