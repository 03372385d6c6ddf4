"""Comments of the contract and of settings as Markdown."""

from __future__ import annotations

import re
import textwrap

CODE = re.compile(r"(`[^`]*`)")
"""A code span, which Markdown leaves alone."""


def prose(text: str) -> str:
    """Returns a comment as Markdown: what would be markup outside of code spans and indented blocks is escaped.

    A list needs a blank line before it there, which comments do without.
    """
    text = re.sub(r"^(?!- |  |$)(.*)\n(?=- )", r"\1\n\n", text, flags=re.MULTILINE)
    return "\n".join(line if line.startswith("    ") else _escaped(line) for line in text.splitlines())


def cell(text: str) -> str:
    """Returns a comment as one cell of a table, without its indented examples."""
    lines = [line for line in text.splitlines() if line and not line.startswith("    ")]
    return _escaped(" ".join(lines)).replace("|", "&#124;")


def indented(text: str, spaces: int = 4) -> str:
    """Returns Markdown as the continuation of a list item."""
    return textwrap.indent(text, " " * spaces)


def _escaped(line: str) -> str:
    parts = CODE.split(line)
    return "".join(part if part.startswith("`") else re.sub(r"([<*_\[\]])", r"\\\1", part) for part in parts)
