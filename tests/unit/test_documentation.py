"""What the documents say can be typed exists: commands, make targets, settings, files."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from stockward_server.config import variables
from tests.cli_tree import problem_of
from tests.pages import PAGES, Block, blocks_in, blocks_of, script_of
from tools.site.hooks import generated

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [file for place in ("", "docs/**/", "deploy/", "clients/*/") for file in sorted(ROOT.glob(f"{place}*.md"))]
CODE = re.compile(r"```(?:sh|bash|console)\n(.*?)```|`([^`\n]+)`", re.DOTALL)
COMMAND = re.compile(r"(?:^|[\s(\"$]|until |if )stockward ([a-z-][^`\n|;&)>]*)", re.MULTILINE)
CLIENTS_OWN = {"STOCKWARD_ADDRESS", "STOCKWARD_KEY"}
"""Options of commands rather than settings."""


@pytest.fixture(scope="module")
def made() -> set[Path]:
    """Pages that only the built site has."""
    return {ROOT / "docs" / page for page, _ in generated()}


def code_in(document: Path) -> Iterator[str]:
    """Blocks of shell and what stands between backticks, a line a command."""
    for block, span in CODE.findall(document.read_text()):
        yield (block or span).replace("\\\n", " ")


def commands_in(document: Path) -> Iterator[list[str]]:
    for code in code_in(document):
        for command in COMMAND.findall(code):
            yield shlex.split(command.replace("'", "").replace('"', ""), comments=True)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_it_tells_to_type_exists(document: Path, made: set[Path]) -> None:
    problems = [problem for words in commands_in(document) if (problem := problem_of(words))]
    targets = set(re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for code in code_in(document):
        problems += [f"there is no make {name}" for name in re.findall(r"^make ([a-z]+)", code) if name not in targets]
    known = set(variables()) | CLIENTS_OWN
    named = set(re.findall(r"\bSTOCKWARD_[A-Z_]*[A-Z]\b(?!_?\*)", document.read_text()))
    problems += [f"there is no setting {name}" for name in sorted(named - known)]
    for link in re.findall(r"\]\(((?!https?:)[^)#]+)", document.read_text()):
        target = Path(os.path.normpath(document.parent / link))
        problems += [] if target.exists() or target in made else [f"there is no {link}"]
    assert not problems


ALERTS = [
    "OutboxStalled",
    "DeliveriesStuck",
    "EndpointDisabled",
    "DatabaseUnreachable",
    "NatsUnreachable",
    "OverloadRefusals",
    "SlowBatches",
    "DeadLetters",
    "AuditFailed",
    "CertificateExpires",
]


def test_the_runbook_tells_of_every_alert() -> None:
    """Alerts link to these headings."""
    text = (ROOT / "docs" / "how-to" / "operator" / "runbook.md").read_text()
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    assert [name for name in sections if name in ALERTS] == ALERTS
    for name in ALERTS:
        assert all(f"**{part}" in sections[name] for part in ("Seen.", "Look.", "Do.", "Over")), name


SHELL_BLOCKS = [block for page in PAGES for block in blocks_of(page) if block.language == "sh"]


@pytest.mark.parametrize("block", SHELL_BLOCKS, ids=str)
def test_shell_is_plain_sh(block: Block) -> None:
    """As on Debian slim, where sh is dash; what needs bash says so at its fence."""
    parsed = subprocess.run(["sh", "-n"], input=block.text, capture_output=True, text=True, timeout=10)
    assert parsed.returncode == 0, parsed.stderr
    assert "uuidgen" not in block.text


def test_blocks_are_found_with_what_surrounds_them() -> None:
    page = ROOT / "docs" / "page.md"
    text = (
        'a\n```sh\none\n```\n\n1. b\n\n    ```python title="two.py"\n    if x:\n        y\n    ```\n'
        "<!-- not run: why -->\n```sh\nthree\n```\n```\nfour\n```\n"
    )
    blocks = list(blocks_in(text, page))
    assert [(each.line, each.language, each.title, each.text, each.why_not) for each in blocks] == [
        (2, "sh", "", "one\n", ""),
        (8, "python", "two.py", "if x:\n    y\n", ""),
        (13, "sh", "", "three\n", "why"),
        (16, "", "", "four\n", ""),
    ]
    assert [each.runs for each in blocks] == [True, True, False, False]
    assert script_of(blocks).endswith(
        "echo '::: docs/page.md:2' >&2\none\n"
        "echo '::: docs/page.md:8' >&2\ncat >'two.py' <<'END OF BLOCK'\nif x:\n    y\nEND OF BLOCK\n"
    )


def test_the_commands_are_found() -> None:
    """So that the test above looks at something."""
    assert ["keys", "revoke", "KEY_ID"] in [
        words[:3] for words in commands_in(ROOT / "docs" / "concepts" / "access.md")
    ]
    assert len([words for document in DOCUMENTS for words in commands_in(document)]) > 40
    assert problem_of(["keys", "forget"]) == "there is no `stockward keys forget`"
    assert (
        problem_of(["edge", "config", "--upstream=a:1", "--upstreams"]) == "`stockward edge config` has no --upstreams"
    )


def test_the_glossary_defines_each_term_once_and_shortly() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text()
    terms = re.findall(r"^\*\*(.+)\*\*\n: (.+(?:\n  .+)*)", text, re.MULTILINE)
    assert len(terms) > 40
    names = [name.lower() for name, _ in terms]
    assert names == sorted(set(names))
    assert not [name for name, meaning in terms if meaning.count(". ") > 2]


def test_decisions_are_numbered_and_listed() -> None:
    folder = ROOT / "docs" / "decisions"
    files = sorted(file.name for file in folder.glob("0*.md"))
    index, nav = (folder / "index.md").read_text(), (ROOT / "mkdocs.yml").read_text()
    for number, name in enumerate(files, 1):
        assert name.startswith(f"{number:04}-")
        text = (folder / name).read_text()
        assert text.startswith(f"# {number}. ")
        assert all(f"**{part}.**" in text for part in ("Context", "Decision", "Consequences")), name
        assert f"({name})" in index
        assert f"decisions/{name}" in nav


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "how-to").rglob("*.md")), ids=lambda page: page.stem)
def test_a_guide_names_its_reader(page: Path) -> None:
    first = page.read_text().split("\n\n")[1]
    assert first.startswith("For "), first
