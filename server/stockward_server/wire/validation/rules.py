"""The rules of the contract, checked: protovalidate violations become FieldInvalid with every field at fault."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any, TypeVar

import protovalidate
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from stockward_server.domain.errors import FieldInvalid, FieldViolation, MessageTooLarge
from stockward_server.runtime.turns import beside
from stockward_server.wire.validation.counts import count_elements
from stockward_server.wire.validation.names import name_violations, normalise_names
from stockward_server.wire.validation.rule_messages import words_of
from stockward_server.wire.validation.sizes import max_bytes
from stockward_server.wire.validation.wire_counts import SMALL, check_counts

M = TypeVar("M", bound=Message)

FEW = 50
"""Elements of a message in which every fault is looked for. Of a larger one the first fault must do: finding one takes
as long as the rule that it breaks, and an answer has room for some twenty."""

SHORT = 2048
"""Bytes of a message whose rules are checked at once: 150 lines of an order in it take 4 ms."""

_validator = protovalidate.Validator()


def validate(message: Message, prefix: str = "") -> None:
    """Puts the names in the message into their one form, and raises FieldInvalid listing the fields that break their
    rules; paths are behind `prefix`. Of a message with many elements it names the first one. The parts of a batch are
    left to its method, which calls this for each."""
    first_only = count_elements(message, prefix) > FEW
    normalise_names(message)
    names_at_fault = islice(name_violations(message), 1 if first_only else None)
    violations = [FieldViolation(prefix + each.field, each.description) for each in names_at_fault]
    names = {violation.field for violation in violations}
    violations += (
        FieldViolation(path, words_of(message.DESCRIPTOR, broken))
        for broken in (each.proto for each in _validator.collect_violations(message, fail_fast=first_only))
        if (path := prefix + _path(broken.field)) not in names
    )
    if violations:
        raise FieldInvalid.of(violations)


def prepare(messages: Iterable[Descriptor]) -> None:
    """Compiles the rules of these types of messages, which else the first call of each would have all others wait for:
    up to 30 ms."""
    for message in messages:
        _validator.collect_violations(GetMessageClass(message)())


def _path(field: Any) -> str:
    path = ""
    for element in field.elements if field else ():
        path += ("." if path else "") + element.field_name
        if element.subscript is not None:
            key = element.subscript.value
            path += f"[{key}]" if isinstance(key, int) else f'["{key}"]'
    return path


class Rules:
    """The contract's rules and the size limit (bytes), for what a call brings in."""

    def __init__(self, max_message_bytes: int) -> None:
        self._limit = max_message_bytes

    async def read(self, raw: bytes, kind: type[M]) -> M:
        """Returns the message in the bytes, checked; raises FieldInvalid or MessageTooLarge. What the bytes alone
        tell is looked at before they are parsed; a large message is read beside, in turn with others."""
        descriptor: Any = kind.DESCRIPTOR
        limit = min(self._limit, max_bytes(descriptor))
        if len(raw) > limit:
            raise MessageTooLarge(len(raw), limit)
        if len(raw) > SHORT:
            return await beside(lambda: _checked(raw, kind))
        return _checked(raw, kind)


def _checked(raw: bytes, kind: type[M]) -> M:
    descriptor: Any = kind.DESCRIPTOR  # its stub has another type
    if len(raw) > SMALL:
        check_counts(raw, descriptor)
    try:
        message = kind.FromString(raw)
    except DecodeError:  # gRPC itself would end the call as UNKNOWN, with the exception's text
        raise FieldInvalid("", "the bytes are not a message of this method's type") from None
    validate(message)
    return message
