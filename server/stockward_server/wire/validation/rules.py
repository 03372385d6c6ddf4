"""Checks the rules of the contract: protovalidate violations become FieldInvalid with every field at fault."""

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
"""Maximum elements of a message in which all faults are reported. A larger one reports only the first: finding a fault
takes as long as checking its rule, and a response has room for some twenty."""

SHORT = 2048
"""Maximum bytes of a message that is validated on the event loop: 150 lines of an order in it take 4 ms."""

_validator = protovalidate.Validator()


def validate(message: Message, prefix: str = "") -> None:
    """Normalises the names in the message, and raises FieldInvalid listing the fields that break their rules, with
    paths after `prefix`. For a message with many elements it lists only the first one. The parts of a batch are left to
    its method, which calls this for each."""
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
    """Compiles the rules of these message types in advance: otherwise the first call of each would block others for up
    to 30 ms."""
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
    """The contract's rules and the size limit (bytes) for incoming messages."""

    def __init__(self, max_message_bytes: int) -> None:
        self._limit = max_message_bytes

    async def read(self, raw: bytes, kind: type[M]) -> M:
        """Returns the parsed and validated message. Raises FieldInvalid or MessageTooLarge. Limits that apply to the
        bytes are checked before parsing; a large message is processed in a separate thread, in turn with others."""
        descriptor: Any = kind.DESCRIPTOR
        limit = min(self._limit, max_bytes(descriptor))
        if len(raw) > limit:
            raise MessageTooLarge(len(raw), limit)
        if len(raw) > SHORT:
            return await beside(lambda: _checked(raw, kind))
        return _checked(raw, kind)


def _checked(raw: bytes, kind: type[M]) -> M:
    descriptor: Any = kind.DESCRIPTOR  # its stub declares another type
    if len(raw) > SMALL:
        check_counts(raw, descriptor)
    try:
        message = kind.FromString(raw)
    except DecodeError:  # gRPC would end the call as UNKNOWN with the exception's text
        raise FieldInvalid("", "the bytes are not a message of this method's type") from None
    validate(message)
    return message
