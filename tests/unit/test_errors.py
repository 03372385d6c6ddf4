"""Refusals carry what people and machines need."""

from __future__ import annotations

from stockward_server.domain.errors import (
    Code,
    FieldInvalid,
    FieldViolation,
    InsufficientStock,
    Overloaded,
    Refusal,
    StockwardError,
)


def test_metadata_is_text() -> None:
    refusal = InsufficientStock("3 wanted", sku="MUG", requested=3)
    assert (refusal.code, refusal.reason) == (Code.FAILED_PRECONDITION, "INSUFFICIENT_STOCK")
    assert (refusal.message, str(refusal)) == ("3 wanted", "3 wanted")
    assert refusal.metadata == {"sku": "MUG", "requested": "3"}
    assert not refusal.violations
    assert refusal.retry_after is None


def test_the_field_at_fault_is_in_the_violations_and_in_the_metadata() -> None:
    refusal = FieldInvalid("must be positive", field="lines[0].quantity")
    assert refusal.violations == (FieldViolation("lines[0].quantity", "must be positive"),)
    assert refusal.metadata == {"field": "lines[0].quantity"}


def test_of_several_fields_the_first_is_in_the_metadata() -> None:
    violations = [FieldViolation("a", "too long"), FieldViolation("b", "missing")]
    refusal = FieldInvalid("2 fields are invalid", violations=violations)
    assert refusal.violations == tuple(violations)
    assert refusal.metadata == {"field": "a"}


def test_a_refusal_may_say_when_to_come_back() -> None:
    assert Overloaded("full", retry_after=1.5).retry_after == 1.5


def test_every_refusal_has_one_root() -> None:
    assert issubclass(Refusal, StockwardError)
    assert all(each.code in Code for each in Refusal.__subclasses__())
