"""What a person reads who broke a rule of the contract: every rule of every field is broken once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from buf.validate import validate_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor, OneofDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from stockward.error.v1 import error_pb2

from stockward_server.api.server import SERVICES
from stockward_server.domain.errors import FieldInvalid, FieldViolation
from stockward_server.wire.validation.rules import validate

NOT_FOR_PEOPLE = (
    *("regex", "pattern", "oneof", "list [", "[0]", "value must", "exactly one", "enum value", "repeated", "item(s)"),
    *("pair", "UNSPECIFIED", "field is", "0x", "\\", "^", "$", "(?", "]+", "<", ">", "None", "True", "{", "}", "'"),
)
"""Fragments that must not be in a message for people."""


@dataclass(frozen=True)
class Rule:
    """One rule of a field, such as max_len 64; `where` is the field itself, its items, keys or values."""

    field: FieldDescriptor
    where: str
    name: str
    limit: Any

    def __str__(self) -> str:
        return f"{self.field.full_name} {self.where} {self.name}".replace("  ", " ")


def requests() -> Iterator[Descriptor]:
    """Every message that can be in a request."""
    waiting = [method.input_type for service in SERVICES for method in service.methods]
    seen: set[str] = set()
    while waiting:
        message = waiting.pop()
        if message.full_name not in seen and message.full_name.startswith("stockward."):
            seen.add(message.full_name)
            waiting += [field.message_type for field in message.fields if field.message_type]
            yield message


def rules_of(field: FieldDescriptor, rules: Any, where: str = "") -> Iterator[Rule]:
    for kind, value in rules.ListFields():
        if kind.name in ("repeated", "map"):
            for inner, each in value.ListFields():
                if inner.name in ("items", "keys", "values"):
                    yield from rules_of(field, each, inner.name)
                else:
                    yield Rule(field, where, inner.name, each)
        elif kind.name == "required":
            yield Rule(field, where, "required", value)
        elif kind.message_type is not None and kind.name != "cel":
            yield from (Rule(field, where, inner.name, each) for inner, each in value.ListFields())


RULES = [
    rule
    for message in requests()
    for field in message.fields
    for rule in rules_of(field, field.GetOptions().Extensions[validate_pb2.field])
]
CHOICES: list[OneofDescriptor] = [
    oneof
    for message in requests()
    for oneof in message.oneofs
    if oneof.GetOptions().Extensions[validate_pb2.oneof].required
]


def bad_value(rule: Rule) -> Any:
    """A value that breaks the rule, of a field, an item, a key or a value."""
    limit = rule.limit
    match rule.name:
        case "min_len":
            return ""
        case "max_len":
            return "x" * (limit + 1)
        case "uuid" | "pattern":
            return " é\n" if limit != "\\S" else "  "
        case "in":
            return "nonsense"
        case "not_in":
            return limit[0]
        case "defined_only":
            return 999
        case "gte" | "lte":
            if isinstance(limit, Duration):
                return {"seconds": limit.seconds + (-1 if rule.name == "gte" else 1)}
            return limit + (-1 if rule.name == "gte" else 1)
    raise AssertionError(f"say how {rule} is broken")


def breaking(rule: Rule) -> Message:
    """A message whose field breaks the rule."""
    field = rule.field
    assert field.containing_type is not None
    build = GetMessageClass(field.containing_type)
    match rule.name:
        case "required" | "min_items":
            return build()
        case "max_items":
            one: Any = {} if field.message_type else "x" if field.type == FieldDescriptor.TYPE_STRING else 1
            return build(**{field.name: [one] * (rule.limit + 1)})
        case "unique":
            return build(**{field.name: ["x", "x"]})
        case "max_pairs":
            return build(**{field.name: {str(i): "x" for i in range(rule.limit + 1)}})
    value = bad_value(rule)
    if rule.where == "keys":
        return build(**{field.name: {value: "x"}})
    if rule.where == "values":
        return build(**{field.name: {"x": value}})
    return build(**{field.name: [value] if rule.where == "items" else value})


def told(message: Message) -> list[FieldViolation]:
    with pytest.raises(FieldInvalid) as refused:
        validate(message)
    return list(refused.value.violations)


def assert_for_people(words: str) -> None:
    assert words
    assert not [fragment for fragment in NOT_FOR_PEOPLE if fragment in words], words
    assert len(words.encode()) < 280, "a longer one is cut in the answer"


def test_there_are_rules_to_break() -> None:
    assert len(RULES) > 250
    assert {"min_len", "max_len", "uuid", "pattern", "gte", "lte", "in", "not_in"} < {rule.name for rule in RULES}


def test_words_stand_where_a_rule_says_too_little_and_nowhere_else() -> None:
    fields = {field.full_name: field for message in requests() for field in message.fields}
    worded = {name for name, field in fields.items() if field.GetOptions().Extensions[error_pb2.allowed]}
    patterns = {rule.field.full_name for rule in RULES if rule.name == "pattern"}
    # Of this enum the request may not have one value that answers do have; the rule alone would name it as allowed.
    assert worded == patterns | {"stockward.order.v1.UpdateFulfillmentRequest.state"}


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_who_breaks_a_rule_is_told_what_is_allowed(rule: Rule) -> None:
    named = [each.description for each in told(breaking(rule)) if each.field.partition("[")[0] == rule.field.name]
    assert named, "the field at fault is named"
    for words in named:
        assert_for_people(words)
    assert any(says(words, rule) for words in named), named


def says(words: str, rule: Rule) -> bool:
    """Whether the words name the limit of this very rule."""
    if rule.name in ("min_len", "max_len", "min_items", "max_items", "max_pairs", "gte", "lte"):
        limit = rule.limit.seconds if isinstance(rule.limit, Duration) else rule.limit
        return f"{limit:,}".removesuffix(".0") in words
    if rule.field.enum_type is not None:
        return all(value.name in words for value in rule.field.enum_type.values if value.number)
    if rule.name in ("in", "not_in"):
        return all(str(each) in words for each in rule.limit)
    if rule.name == "pattern":
        return words == rule.field.GetOptions().Extensions[error_pb2.allowed]
    return words in {
        "required": ["must be given"],
        "uuid": ["must be a UUID, such as 0190f3a2-7c1e-7b44-9a55-8d3f3f6f2a10"],
        "unique": ["must not name anything twice"],
    }.get(rule.name, [])


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: choice.full_name)
def test_who_makes_no_choice_is_told_what_there_is(choice: OneofDescriptor) -> None:
    empty = told(GetMessageClass(choice.containing_type)())
    (words,) = (each.description for each in empty if each.field == choice.name)
    assert words == "give " + " or ".join(field.name for field in choice.fields)
