"""Pages that the edge serves itself: the OpenAPI document, a page that renders it, and the console."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib import resources
from pathlib import PurePath

from stockward_server.edge.parts import Page


def pages() -> list[Page]:
    """Returns `/openapi.json` and `/docs`. The page loads nothing from other sites."""
    document = resources.files("stockward") / "openapi.json"
    reader = (resources.files("stockward_server.edge") / "docs.html").read_text(encoding="utf-8")
    return [
        Page("/openapi.json", "application/json", document.read_text(encoding="utf-8")),
        Page("/docs", "text/html; charset=utf-8", reader, _policy(reader)),
    ]


CONSOLE = "/console"

CONSOLE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What a browser may load and run for the console: what its origin serves, and nothing inline."""

CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

FOR_EVER = "public, max-age=31536000, immutable"
"""Cache-Control of files whose names carry a hash of their content."""


def console() -> list[Page]:
    """Returns the files of the console (generated/console). Its page is served for each path below `/console` that is
    no file: which page is shown is decided in the browser."""
    files = resources.files("stockward_server.edge") / "console"
    page = (files / "index.html").read_text(encoding="utf-8")
    assets = sorted((files / "assets").iterdir(), key=lambda file: file.name)
    return [
        *(
            Page(
                f"{CONSOLE}/assets/{file.name}",
                CONTENT_TYPES[PurePath(file.name).suffix],
                file.read_text(encoding="utf-8"),
                CONSOLE_POLICY,
                cache=FOR_EVER,
                compressed=True,
            )
            for file in assets
        ),
        Page(CONSOLE, CONTENT_TYPES[".html"], page, CONSOLE_POLICY, cache="no-cache"),
        Page(
            f"{CONSOLE}/",
            CONTENT_TYPES[".html"],
            page,
            CONSOLE_POLICY,
            cache="no-cache",
            is_prefix=True,
            missing=f"{CONSOLE}/assets/",
        ),
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
