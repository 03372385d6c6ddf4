"""What the command line says about bad input is in words: nothing of Python, of protobuf or of regular expressions."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from stockward.catalog.v1 import catalog_pb2 as catalog
from stockward.webhook.v1 import webhook_pb2 as webhooks
from typer.main import get_command
from typer.testing import CliRunner

from stockward_server.cli import app
from stockward_server.commands import parsers
from stockward_server.commands.csv_file import FileUnreadable
from stockward_server.commands.json_file import read_message
from stockward_server.commands.parsers import word_of
from stockward_server.commands.shopify_csv import read_products
from stockward_server.commands.stock_sync import read_rows
from stockward_server.config import SettingsError, load_settings, variables
from tests.terminal import clean_environment

JARGON = re.compile(
    r"""
    \\[dwsSDW.]|\[\^?[A-Za-z0]-|\(\?|\^\(|\)\$          # a regular expression
    |Traceback|Error:|invalid\ literal|NoneType|\bNone\b|\bTrue\b|\bFalse\b|<class|object\ at\ 0x
    |\bstr\b|\bint\b|\bdict\b|bytes-like|\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|codec|unable\ to\ parse|Input\ should
    |oneof|enum\ type|repeated\ field|Message\ type|stockward\.\w+\.v1|_UNSPECIFIED|not\ in\ list|in\ base\ 10
    |Expecting|delimiter:|unexpected\ end\ of\ data
    """,
    re.VERBOSE,
)

BAD = [
    "",
    " ",
    "x",
    "-1",
    "1.5",
    "1e400",
    "nan",
    "9" * 40,
    "٣",
    "[a-z]+",
    "\x1b[31m",
    "0001-01-01T00:00+14:00",
    "A=B=C",
]


def in_words(message: str) -> str:
    """The message, which must say something and nothing of how the program is made."""
    assert len(message) > 10
    found = JARGON.search(re.sub("“.*”", "“…”", message, flags=re.DOTALL))  # what was typed is shown as it was
    assert not found, f"{found[0]!r} in {message}"
    assert "\x1b" not in message
    return message


def leaves(command: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, child in command.commands.items():
        yield from leaves(child, *path, name) if hasattr(child, "commands") else [((*path, name), child)]


def is_text(parameter: Any) -> bool:
    """Whether every text is right as far as the command line knows."""
    kind = parameter.type_descriptor
    return kind.parameter_info.parser is None and kind.annotation in (str, list[str], Path, list[Path])


PARSED = [
    (path, parameter)
    for path, command in leaves(get_command(app))
    for parameter in command.params
    if parameter.name != "help" and not getattr(parameter, "is_flag", False) and not is_text(parameter)
]
"""Every option and argument of every command that takes less than any text."""


def name_of(each: Any) -> str:
    return " ".join(each) if isinstance(each, tuple) else str(each.name)


@pytest.mark.parametrize(("path", "parameter"), PARSED, ids=name_of)
def test_a_value_that_an_option_does_not_take(path: tuple[str, ...], parameter: Any) -> None:
    """Nothing but words, also from commands that would go on to a server: none is there."""
    for value in ("x", "\x1b[31m1e400"):
        outcome = CliRunner().invoke(
            app,
            [*path, *words_for(path, parameter, value)],
            env=clean_environment() | {"COLUMNS": "200", "NO_COLOR": "1"},
        )
        assert (outcome.exit_code, outcome.stdout) == (2, ""), outcome.output
        assert "” is not " in in_words(outcome.stderr)


def words_for(path: tuple[str, ...], parameter: Any, value: str) -> list[str]:
    """The option with this value, or the argument behind those that come before it."""
    if parameter.param_type_name != "argument":
        return [f"{parameter.opts[0]}={value}"]
    parameters = dict(leaves(get_command(app)))[path].params
    arguments = [each.name for each in parameters if each.param_type_name == "argument"]
    return [*["A"] * arguments.index(parameter.name), value]


def test_the_options_are_found() -> None:
    """So that the test above looks at something."""
    found = {(*path, parameter.name) for path, parameter in PARSED}
    assert {("stock", "list", "limit"), ("stock", "adjust", "delta"), ("import", "products", "encoding")} <= found
    assert len(found) > 40


PARSERS: list[Callable[[str], Any]] = [
    parsers.moment,
    parsers.counted,
    parsers.numbered,
    parsers.pair,
    parsers.identifier,
    parsers.whole(0),
    parsers.whole(-5, 5),
    parsers.number(0, 10),
    lambda text: parsers.amount(text, "EUR"),
    lambda text: parsers.variant(text, "EUR"),
]


@pytest.mark.parametrize("parse", PARSERS)
@given(st.sampled_from(BAD) | st.text())
def test_texts_are_values_or_refused_in_words(parse: Callable[[str], Any], text: str) -> None:
    with contextlib.suppress(typer.BadParameter):
        try:
            parse(text)
        except typer.BadParameter as error:
            in_words(error.message)
            raise


CELLS = [
    "",
    "x",
    "-3",
    "1.5",
    "14,50",
    "TEE",
    "true",
    "maybe",
    "shopify",
    "continue",
    '"',
    "9" * 30,
    "é",
    "\x1b[31m",
    "=1+1",
]
HEADERS = ["Handle", "URL handle", "Title", "Price", "SKU", "Status", "Inventory tracker", "Inventory quantity", "x"]
STOCK_HEADERS = ["sku", "on_hand", "delta", "location_id", "expected_on_hand", "On hand", "x"]


def tables(headers: list[str]) -> st.SearchStrategy[bytes]:
    """Files that look like tables, and bytes that do not."""
    rows = st.lists(st.lists(st.sampled_from(CELLS), max_size=6), max_size=4)
    files = st.builds(
        lambda header, rows, delimiter, codec: "\n".join(map(delimiter.join, [header, *rows])).encode(codec),
        st.lists(st.sampled_from(headers), max_size=6),
        rows,
        st.sampled_from(",;\t|"),
        st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
    )
    return files | st.binary()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(tables(HEADERS))
def test_files_of_products_are_read_or_refused_in_words(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "file.csv"
    file.write_bytes(content)
    with contextlib.suppress(FileUnreadable):
        try:
            contents = read_products(file, "EUR", with_stock=True)
        except FileUnreadable as error:
            in_words(str(error))
            raise
        for each in contents.refused + contents.warnings:
            in_words(each.message.ljust(11))
            assert each.line > 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(tables(STOCK_HEADERS))
@example(b"\\S")
def test_files_of_counts_are_read_or_refused_in_words(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "file.csv"
    file.write_bytes(content)
    with contextlib.suppress(FileUnreadable):
        try:
            _, _, refused = read_rows(file)
        except FileUnreadable as error:
            in_words(str(error))
            raise
        for each in refused:
            in_words(each.message)


def test_a_count_may_have_any_number_of_digits(tmp_path: Path) -> None:
    file = tmp_path / "file.csv"
    many = "0" * 5_000
    file.write_text(f"sku,on_hand\nA,{many}7\nB,{many}9{many}\nC,-{many}\nD,-{many}1\n")
    _, rows, refused = read_rows(file)
    assert [(row.sku, row.on_hand) for _, row in rows] == [("A", 7), ("C", 0)]
    assert [(each.line, each.message) for each in refused] == [
        (3, "must be from 0 to 1,000,000,000"),
        (5, "must be from 0 to 1,000,000,000"),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "line 1, column 1: this is not JSON"),
        ('{"title": "Tee",\n "tags": [}', "line 2, column 11: this is not JSON"),
        ("[1]", "it must hold one JSON object"),
        ("[" * 100_000, "objects and lists are nested too deeply"),
        (b"\xff\xfe", "this is not UTF-8"),
        ({"colour": "red"}, "colour: there is no such field, but productId, handle, title"),
        ({"\x1b[31m": "red"}, "there is no such field"),
        ({"variants": [{"colour": "red"}]}, "variants[0].colour: there is no such field, but sku"),
        ({"title": 5}, "title: must be text"),
        ({"tags": "a"}, "tags: must be a list"),
        ({"variants": [5]}, "variants[0]: must be an object"),
        ({"variants": [{"price": {"units": "x"}}]}, "variants[0].price.units: must be a whole number"),
        ({"variants": [{"weightGrams": 10**30}]}, "variants[0].weightGrams: must be a whole number"),
        ({"attributes": []}, "attributes: must be an object of names and texts"),
        ({"createTime": "no"}, "createTime: must be a time with its offset, such as 2026-11-22T10:00:00Z"),
        ({"state": "SOLD"}, "state: must be one of STATE_DRAFT, STATE_PUBLISHED, STATE_UNPUBLISHED or STATE_ARCHIVED"),
    ],
)
def test_a_product_as_json_that_does_not_fit(tmp_path: Path, content: object, message: str) -> None:
    file = tmp_path / "product.json"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        file.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(typer.BadParameter) as error:
        read_message(file, catalog.Product())
    assert message in in_words(error.value.message)


@pytest.mark.parametrize("name", variables())
def test_a_setting_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for value in ("x y", "-1", "1e400", "\x1b[31m"):
        monkeypatch.setenv(name, value)
        with contextlib.suppress(SettingsError):
            try:
                load_settings()
            except SettingsError as error:
                for problem in error.problems:
                    in_words(problem)
                raise


def test_words_of_the_contract_are_in_lower_case() -> None:
    assert word_of(webhooks.Endpoint.State.DESCRIPTOR, 1).islower()
