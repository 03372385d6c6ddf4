"""Describes in plain words what the contract's rules allow; protovalidate's messages use patterns, lists and oneofs.

Each sentence follows the path of a field. It combines the broken rule with related ones, so that it states everything
that is allowed: `must have 1 to 64 characters`. The contract provides the words for a pattern.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from buf.validate import validate_pb2
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from stockward.error.v1 import error_pb2

UUID = "must be a UUID, such as 0190f3a2-7c1e-7b44-9a55-8d3f3f6f2a10"


def words_of(message: Any, violation: Any) -> str:
    """Returns what is allowed where a message broke a rule: `message` is the Descriptor, `violation` a
    buf.validate.Violation.

    A CEL rule has its own message, which is returned unchanged.
    """
    *parents, last = (element.field_name for element in violation.field.elements) if violation.field else [""]
    for name in parents:
        message = _message_in(message.fields_by_name[name])
    if last in message.oneofs_by_name:
        return f"give {either([each.name for each in message.oneofs_by_name[last].fields])}"
    if not violation.rule:
        return str(violation.message)
    field = message.fields_by_name[last]
    rules = field.GetOptions().Extensions[validate_pb2.field]
    *groups, rule = (element.field_name for element in violation.rule.elements)
    for name in groups:
        rules = getattr(rules, name)
    if rule not in WORDS:
        return str(violation.message)
    words = WORDS[rule](field, rules)
    return f"the name {words}" if violation.for_key and rule != "pattern" else words


def _message_in(field: FieldDescriptor) -> Any:
    """Returns the message type of the field, or of the values of a map."""
    message: Any = field.message_type
    return message.fields_by_name["value"].message_type if message.GetOptions().map_entry else message


def _limits(low: object, high: object, unit: str = "") -> str:
    """Returns a range such as `1 to 64 characters`; a bound that is None is left out."""
    if low is None or low == high:
        words = f"at most {high}" if low is None else f"{low}"
    elif high is None:
        words = f"at least {low}"
    else:
        words = f"{low} to {high}"
    return f"{words} {unit}".strip()


def _bound(rules: Any, name: str) -> str | None:
    """Returns a bound such as `1,000`, or None without one; a duration is in seconds."""
    if not rules.HasField(name):
        return None
    value = getattr(rules, name)
    if isinstance(value, Duration):
        value = value.seconds + value.nanos / 1e9
    return f"{value:,}".removesuffix(".0")


def _length(field: FieldDescriptor, rules: Any) -> str:
    return f"must have {_limits(_bound(rules, 'min_len'), _bound(rules, 'max_len'), 'characters')}"


def _count(field: FieldDescriptor, rules: Any) -> str:
    return f"must have {_limits(_bound(rules, 'min_items'), _bound(rules, 'max_items'), 'entries')}"


def _pairs(field: FieldDescriptor, rules: Any) -> str:
    return f"must have {_limits(_bound(rules, 'min_pairs'), _bound(rules, 'max_pairs'), 'entries')}"


def _number(field: FieldDescriptor, rules: Any) -> str:
    unit = "seconds" if rules.DESCRIPTOR.name == "DurationRules" else ""
    words = _limits(_bound(rules, "gte"), _bound(rules, "lte"), unit)
    excluded = ", ".join(map(str, rules.not_in))
    return f"must be {words}" + (f", but not {excluded}" if excluded else "")


def _choice(field: FieldDescriptor, rules: Any) -> str:
    """Returns the values of an enum except zero, which means unset; or those that a rule lists."""
    if field.enum_type is not None:
        names = [value.name for value in field.enum_type.values if value.number]
    else:
        names = list(getattr(rules, "in"))
    return f"must be {either(names)}"


def _exclusion(field: FieldDescriptor, rules: Any) -> str:
    if rules.DESCRIPTOR.name == "StringRules":
        return f"must not be {either(list(rules.not_in))}"
    return _choice(field, rules) if field.enum_type is not None else _number(field, rules)


def either(names: list[str]) -> str:
    """Returns `one of a, b or c`, `a or b`, or `a`."""
    *rest, last = names
    return f"{'one of ' * (len(rest) > 1)}{', '.join(rest)} or {last}" if rest else last


WORDS: dict[str, Callable[[FieldDescriptor, Any], str]] = {
    "required": lambda field, rules: "must be given",
    "min_len": _length,
    "max_len": _length,
    "uuid": lambda field, rules: UUID,
    "pattern": lambda field, rules: str(field.GetOptions().Extensions[error_pb2.allowed]),
    "gte": _number,
    "lte": _number,
    "in": _choice,
    "not_in": _exclusion,
    "defined_only": _choice,
    "min_items": _count,
    "max_items": _count,
    "unique": lambda field, rules: "must not name anything twice",
    "min_pairs": _pairs,
    "max_pairs": _pairs,
}
"""Descriptions by rule name. `tests/unit/test_rule_messages.py` breaks every rule of the contract."""
