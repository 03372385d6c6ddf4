"""Code blocks of the documentation, and how a reader runs them: page by page, in order, in plain `sh`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLACES = ("", "docs/**/", "deploy/", "clients/*/")
PAGES = sorted(file for place in PLACES for file in ROOT.glob(f"{place}*.md"))
LANGUAGES = ("sh", "bash", "python", "ts", "js")
"""Of blocks that run, unless a comment `<!-- not run: WHY -->` stands before them; blocks of a title are files."""

FENCE = re.compile(r"^( *)```(\w*)(?: title=\"(.+)\")?$")
NOT_RUN = re.compile(r"<!-- not run: (.+) -->$")

PRELUDE = """\
make() { # as in the checkout, on the stack that is up
    case "$1" in
        run) echo 'It is up.' ;;
        demo) stockward demo ;;
        *) command make --no-print-directory -C "$CHECKOUT" "$1" ;;
    esac
}
uuidgen() { echo 'uuidgen: Debian slim does not have it' >&2; return 127; }
"""


@dataclass(frozen=True)
class Block:
    """A fenced block of code."""

    page: Path
    line: int
    language: str
    title: str
    """Name of the file that the reader puts it into; empty where it is typed."""
    text: str
    why_not: str
    """Why no test runs it; empty where one does."""

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def runs(self) -> bool:
        return (self.language in LANGUAGES or bool(self.title)) and not self.why_not

    @property
    def script(self) -> str:
        """The block as lines of `sh`."""
        program = {"python": ".venv/bin/python -", "bash": "bash -euo pipefail"}.get(self.language, "node -")
        if self.title:
            return f"cat >'{self.title}' <<'END OF BLOCK'\n{self.text}END OF BLOCK\n"
        if self.language == "sh":
            return self.text
        return f"{program} <<'END OF BLOCK'\n{self.text}END OF BLOCK\n"


def blocks_of(page: Path) -> Iterator[Block]:
    """Yields the fenced blocks of a page, in order."""
    return blocks_in(page.read_text(encoding="utf-8"), page)


def blocks_in(text: str, page: Path) -> Iterator[Block]:
    """Yields the fenced blocks of the text of a page, in order."""
    opened, why_not = None, ""
    body: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if opened is None:
            if found := NOT_RUN.search(line):
                why_not = found[1]
            elif found := FENCE.match(line):
                opened, body = (number, found[1], found[2], found[3] or ""), []
            elif line.strip():
                why_not = ""
        elif line == f"{opened[1]}```":
            start, indent, language, title = opened
            code = "".join(f"{each.removeprefix(indent)}\n" for each in body)
            yield Block(page, start, language, title, code, why_not)
            opened, why_not = None, ""
        else:
            body.append(line)


def script_of(blocks: list[Block]) -> str:
    """Returns what a reader of the page types, as one script that names each block on stderr before it runs it."""
    return PRELUDE + "".join(f"echo '::: {block}' >&2\n{block.script}" for block in blocks if block.runs)
