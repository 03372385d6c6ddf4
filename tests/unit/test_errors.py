"""Refusals carry what people and machines need, and make it themselves from facts."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

import stockward_server
from stockward_server.domain import errors
from stockward_server.domain.errors import (
    Code,
    FieldInvalid,
    FieldViolation,
    InsufficientStock,
    LineUnknown,
    Overloaded,
    PageTokenInvalid,
    PreconditionViolation,
    Refusal,
    Shortage,
    StockwardError,
)

SERVER = Path(stockward_server.__file__).parent

WORDS = {"description", "action", "resource"}
"""Parameters that take words, where an error has no fixed shape: what is wrong with a field, what a role may not do."""


def test_metadata_is_text_and_has_what_is_known() -> None:
    refusal = LineUnknown(4, "lines.line_number")
    assert (refusal.code, refusal.reason) == (Code.INVALID_ARGUMENT, "LINE_UNKNOWN")
    assert refusal.message == str(refusal) == "the order has no line 4"
    assert refusal.metadata == {"line_number": "4", "field": "lines.line_number"}
    assert LineUnknown(4, "lines.line_number", "o-1").metadata["order_id"] == "o-1"
    assert refusal.retry_after is None


def test_of_several_skus_that_are_short_each_is_named() -> None:
    refusal = InsufficientStock([Shortage("MUG", 3, 1), Shortage("CAP", 2, 0)])
    assert refusal.message == "MUG: 3 wanted, 1 available (2 SKUs are short)"
    assert refusal.metadata == {"sku": "MUG", "requested": "3", "available": "1"}
    assert refusal.preconditions == (
        PreconditionViolation("STOCK", "MUG", "3 wanted, 1 available"),
        PreconditionViolation("STOCK", "CAP", "2 wanted, 0 available"),
    )
    assert not refusal.violations


def test_the_field_at_fault_is_in_the_message_the_violations_and_the_metadata() -> None:
    refusal = FieldInvalid("lines[0].quantity", "must be positive")
    assert refusal.message == "lines[0].quantity: must be positive"
    assert refusal.violations == (FieldViolation("lines[0].quantity", "must be positive"),)
    assert refusal.metadata == {"field": "lines[0].quantity"}


def test_a_request_may_be_at_fault_as_a_whole() -> None:
    refusal = FieldInvalid("", "no message")
    assert (refusal.message, refusal.violations, refusal.metadata) == ("no message", (), {})


def test_of_several_fields_the_first_is_in_the_message_and_the_metadata() -> None:
    violations = [FieldViolation("a", "too long"), FieldViolation("b", "missing")]
    refusal = FieldInvalid.of(violations)
    assert refusal.violations == tuple(violations)
    assert (refusal.message, refusal.metadata) == ("a: too long", {"field": "a"})


def test_a_cursor_that_is_good_for_one_request_says_so() -> None:
    assert "all other arguments" in PageTokenInvalid.of_request("cursor").message
    assert "all other arguments" not in PageTokenInvalid.of_record().message
    assert PageTokenInvalid.of_record().metadata == {"field": "cursor"}


def test_a_refusal_may_say_when_to_come_back() -> None:
    assert Overloaded.by_calls(10).retry_after == 1.0


def test_every_refusal_has_one_root_and_says_what_it_means() -> None:
    assert issubclass(Refusal, StockwardError)
    assert len(Refusal.__subclasses__()) > 60
    for each in Refusal.__subclasses__():
        assert each.code in Code
        assert each.__doc__, each
        assert each.__name__ in errors.__all__


def given_words(source: str) -> Iterator[str]:
    """Yields the calls in a module that hand an error words which it makes itself."""
    for call in ast.walk(ast.parse(source)):
        if not isinstance(call, ast.Call):
            continue
        name = call.func.value if isinstance(call.func, ast.Attribute) else call.func
        kind = getattr(errors, name.id, None) if isinstance(name, ast.Name) else None
        if not (isinstance(kind, type) and issubclass(kind, Refusal)):
            continue
        make = getattr(kind, call.func.attr) if isinstance(call.func, ast.Attribute) else kind
        keywords = {each.arg: each.value for each in call.keywords if each.arg}
        arguments = inspect.signature(make).bind(*call.args, **keywords).arguments
        arguments |= arguments.pop("metadata", {})
        if any(key == "message" or (key not in WORDS and _is_prose(value)) for key, value in arguments.items()):
            yield ast.unparse(call)


def _is_prose(node: object) -> bool:
    """Whether an argument is a text of several words."""
    return isinstance(node, ast.AST) and any(
        isinstance(each, ast.Constant) and isinstance(each.value, str) and " " in each.value.strip()
        for each in ast.walk(node)
    )


def test_errors_are_given_facts_only() -> None:
    modules = [path for path in SERVER.rglob("*.py") if "errors" not in path.relative_to(SERVER).parts]
    found = [f"{path.name}: {call}" for path in modules for call in given_words(path.read_text())]
    assert found == []


@pytest.mark.parametrize(
    ("call", "is_found"),
    [
        ("OrderNotFound(order_id)", False),
        ("OrderNotFound(f'there is no order {order_id}')", True),
        ("Overloaded('there is too much to do', limit=3)", True),
        ("Overloaded.by_calls(3)", False),
        ("SkuTaken.by_variant(sku, 1, f'variants[{index}].sku')", False),
        ("FieldInvalid('lines', 'must not be empty')", False),
        ("FieldInvalid('what is wrong', 'must not be empty')", True),
    ],
)
def test_words_are_found(call: str, is_found: bool) -> None:
    assert bool([*given_words(call)]) is is_found
