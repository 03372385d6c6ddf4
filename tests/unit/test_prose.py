"""The check of the language: it reads prose and leaves names alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import prose
from tools.prose import CODE, page_of, phrases, prose_of, slashed_of

SOURCE = '''\
"""Töld anew."""

told = 1  # told, as `told` says
text = "told"


def tells() -> None:
    """Says it
    anew."""
    """An attribute."""
'''


def test_comments_and_docstrings_are_read_where_they_stand() -> None:
    lines = prose_of(SOURCE).splitlines()
    assert lines[0] == '"""Töld anew."""'
    assert lines[2] == "          # told, as `told` says"
    assert not lines[3].strip()
    assert not lines[6].strip()
    assert [line.strip() for line in lines[7:]] == ['"""Says it', 'anew."""', '"""An attribute."""']
    assert len(lines) == len(SOURCE.splitlines())


def test_code_in_pages_is_not_read() -> None:
    page = "Told\n\n```sh\ntold\n```\n\n1. x\n\n    ```python\n    told\n    ```\nafter\n"
    assert page_of(page).split() == ["Told", "1.", "x", "after"]
    assert page_of(page).count("\n") == page.count("\n")
    assert CODE.sub("", "see `told` and [here](told.md#told)") == "see  and [here"


def test_comments_of_the_contract_and_of_typescript_are_read() -> None:
    source = 'const a = "// told"; // said\n/** Told\n * again. */\nlet told = "https://told";\n  // anew\n'
    lines = slashed_of(source).splitlines()
    assert lines[0].split() == ["//", "said"]
    assert [line.strip() for line in lines[1:3]] == ["/** Told", "* again. */"]
    assert not lines[3].strip()
    assert lines[4] == "  // anew"


def test_phrases_are_found_in_any_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prose, "COPIES", tmp_path)
    copy = tmp_path / "page.md"
    copy.write_text("fine\nAt the most two\n")
    assert list(phrases([copy])) == ["page.md:2: At the most ==> at most"]
