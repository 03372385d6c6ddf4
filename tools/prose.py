"""Checks the language of pages, comments and docstrings: `python tools/prose.py`, with codespell and `tools/words.txt`.

Names in code are left alone: what is checked is a copy of each file in which everything but prose is blank, so that
lines are those of the file.
"""

from __future__ import annotations

import ast
import io
import re
import shutil
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COPIES = ROOT / ".build" / "prose"
WORDS = ROOT / "tools" / "words.txt"
GENERATED = ("generated/", "clients/typescript/src/generated/", "docs/reference/licences.md")
CODE = re.compile(r"`[^`\n]*`|\]\([^)\s]*\)|<!--.*?-->|https?://\S+")
"""Code spans, targets of links, comments and addresses within prose."""

SLASHED = re.compile(r"(?<![:\"'`/\S])//[^\n]*|/\*.*?\*/", re.DOTALL)
"""A comment; `//` within a word is an address."""

Place = tuple[int, int]
"""Line, from 1, and column, from 0."""


def main() -> int:
    """Checks pages, Python, the contract and TypeScript; returns 1 where something is found."""
    shutil.rmtree(COPIES, ignore_errors=True)
    copies = [checked_copy(file) for file in files()]
    wrong = list(phrases(copies))
    codespell = Path(sys.executable).with_name("codespell")
    dictionaries = ("--dictionary", "-", "--dictionary", WORDS)
    command = (codespell, *dictionaries, "--ignore-words-list", "ket", ".")
    found = subprocess.run(command, cwd=COPIES, stdout=subprocess.PIPE, text=True)
    print("".join(f"{line}\n" for line in wrong) + re.sub(r"^\./", "", found.stdout, flags=re.MULTILINE), end="")
    if found.returncode or wrong:
        return 1
    print(f"The language of {len(copies)} files is plain.")
    return 0


def phrases(copies: list[Path]) -> Iterator[str]:
    """Yields a line for each entry of several words in `tools/words.txt`, which codespell does not look for."""
    known = dict(line.split("->") for line in WORDS.read_text(encoding="utf-8").splitlines())
    several = re.compile("|".join(rf"\b{phrase}\b" for phrase in known if " " in phrase), re.IGNORECASE)
    for copy in copies:
        for number, line in enumerate(copy.read_text(encoding="utf-8").splitlines(), 1):
            for found in several.finditer(line):
                yield f"{copy.relative_to(COPIES)}:{number}: {found[0]} ==> {known[found[0].lower()]}"


def files() -> list[str]:
    """Returns the paths of pages and code that are written by hand."""
    known = subprocess.run(
        ["git", "ls-files", *(f"*{suffix}" for suffix in READERS)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [each for each in known.stdout.splitlines() if not each.startswith(GENERATED) and (ROOT / each).exists()]


def checked_copy(file: str) -> Path:
    """Writes the prose of a file to its place among the copies."""
    text = (ROOT / file).read_text(encoding="utf-8")
    copy = COPIES / file
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_text(CODE.sub(_blank, READERS[copy.suffix](text)), encoding="utf-8")
    return copy


def page_of(text: str) -> str:
    """Returns a page of Markdown without its blocks of code."""
    return re.sub(r"^( *)```.*?^\1```$", _blank, text, flags=re.DOTALL | re.MULTILINE)


def prose_of(source: str) -> str:
    """Returns comments and docstrings of Python code where they stand, and blanks elsewhere."""
    lines = source.splitlines()
    kept = [" " * len(line) for line in lines]
    for (first, start), (last, end) in (*comments(source), *docstrings(source)):
        for number in range(first, last + 1):
            line = lines[number - 1]
            begin, stop = start if number == first else 0, end if number == last else len(line)
            kept[number - 1] = kept[number - 1][:begin] + line[begin:stop] + kept[number - 1][stop:]
    return "\n".join(kept) + "\n"


def slashed_of(source: str) -> str:
    """Returns the comments of the contract or of TypeScript where they stand, and blanks elsewhere."""
    kept, end = [], 0
    for found in SLASHED.finditer(source):
        kept += [re.sub(r"\S", " ", source[end : found.start()]), found[0]]
        end = found.end()
    return "".join(kept) + re.sub(r"\S", " ", source[end:])


READERS = {".md": page_of, ".py": prose_of, ".proto": slashed_of, ".ts": slashed_of}
"""What of a file is prose, by its suffix."""


def comments(source: str) -> Iterator[tuple[Place, Place]]:
    """Yields where each comment begins and ends."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start, token.end


def docstrings(source: str) -> Iterator[tuple[Place, Place]]:
    """Yields where each string that stands alone as a statement begins and ends, those of attributes included."""
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            begin, end = ((line, len(lines[line - 1].encode()[:column].decode())) for line, column in _span(node.value))
            yield begin, end


def _span(node: ast.Constant) -> tuple[Place, Place]:
    """Where a string begins and ends, its columns in bytes."""
    return (node.lineno, node.col_offset), (node.end_lineno or node.lineno, node.end_col_offset or 0)


def _blank(found: re.Match[str]) -> str:
    return re.sub(r"\S", " ", found[0])


if __name__ == "__main__":
    sys.exit(main())
