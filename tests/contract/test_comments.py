"""The comments of the contract are a manual: none is a stub, and every error that they name exists."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from stockward_server.config import variables
from stockward_server.domain.errors import Refusal
from tests.declarations import comments_of, declarations

FEWEST_WORDS = 3
"""A comment with fewer of them, such as `When.`, says nothing that the name does not."""

ERROR = re.compile(r"^ ?- ([A-Z_]+) \(([A-Z_, ]+)\): ", re.MULTILINE)
"""An item of the list of errors of a method or service."""

Declared = tuple[tuple[int, ...], str, str]
"""Path, name and comment of a declaration."""


@pytest.fixture(scope="module")
def declared(files: list[FileDescriptorProto]) -> list[Declared]:
    return [
        (path, name, comments_of(file).get(path, ""))
        for file in files
        for path, name in declarations(file, (), file.package)
    ]


def is_service(path: tuple[int, ...]) -> bool:
    return path[0] == FileDescriptorProto.DESCRIPTOR.fields_by_name["service"].number and len(path) == 2


def is_method(path: tuple[int, ...]) -> bool:
    return path[0] == FileDescriptorProto.DESCRIPTOR.fields_by_name["service"].number and len(path) == 4


def prose(comment: str) -> str:
    """Returns a comment without its examples and tables, which are indented."""
    return "\n".join(line for line in comment.splitlines() if not line.startswith("     "))


def problems_of(path: tuple[int, ...], comment: str) -> Iterator[str]:
    """Yields what is wrong with the comment of a declaration."""
    text = prose(comment)
    first = text.partition("\n\n")[0].strip()
    if len(first.split()) < FEWEST_WORDS:
        yield "says too little"
    if not first[:1].isupper() and not first.startswith(("`", "on_hand", "captured", "totals", "key_id", "request_id")):
        yield "does not begin with a capital letter"
    if not first.rstrip().endswith((".", ":", "order", "less the sum of all overhang")):
        yield "does not end with a full stop"
    if (is_service(path) or is_method(path)) and not re.match(r"[A-Z][a-z]+s\b", first):
        yield "does not begin with a verb, such as `Returns`"
    names = {word for word in re.findall(r"\b[A-Z][A-Z0-9_]+\b", text) if word in variables()}
    names |= set(re.findall(r"\bSTOCKWARD_[A-Z_]+\b", text))
    if names:
        yield f"names {', '.join(sorted(names))}, which callers of the contract do not know"


def test_no_comment_is_a_stub(declared: list[Declared]) -> None:
    assert len(declared) > 500
    problems = [f"{name} {problem}: {text}" for path, name, text in declared for problem in problems_of(path, text)]
    assert problems == []


@pytest.mark.parametrize(
    ("path", "comment", "problem"),
    [
        ((4, 0, 2, 0), "When.", "says too little"),
        ((4, 0, 2, 0), "Whose key it is, see STOCKWARD_ADMIN_KEY.", "names STOCKWARD_ADMIN_KEY"),
        ((4, 0, 2, 0), "Address of PMS_WEBHOOK_URL.", "names PMS_WEBHOOK_URL"),
        ((4, 0, 2, 0), "units that are there.", "does not begin with a capital letter"),
        ((4, 0, 2, 0), "Units that are there", "does not end with a full stop"),
        ((6, 0, 2, 0), "What happens to orders.", "does not begin with a verb"),
    ],
)
def test_a_stub_is_found(path: tuple[int, ...], comment: str, problem: str) -> None:
    assert [each for each in problems_of(path, comment) if each.startswith(problem)]


def test_every_error_of_a_method_exists_with_its_code(declared: list[Declared]) -> None:
    codes = {refusal.reason: refusal.code.name for refusal in Refusal.__subclasses__()}
    named = [
        (name, code, reason)
        for path, name, text in declared
        if is_service(path) or is_method(path)
        for code, reasons in ERROR.findall(text)
        for reason in reasons.split(", ")
    ]
    assert len(named) > 80
    assert [each for each in named if codes.get(each[2]) != each[1]] == []


def test_a_list_of_errors_has_nothing_but_errors(declared: list[Declared]) -> None:
    """So that an error that is misspelt is not left out of the test above."""
    for path, name, text in declared:
        if "Errors:" not in text or not (is_service(path) or is_method(path)):
            continue
        items = re.findall(r"^ ?- .*", text.partition("Errors:")[2], re.MULTILINE)
        others = [item for item in items if not ERROR.match(item)]
        assert others in ([], [" - The errors of the method behind the type."]), name
        assert items, name
