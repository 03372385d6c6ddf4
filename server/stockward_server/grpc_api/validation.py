"""The rules of the contract, checked: protovalidate violations become FieldInvalid with every field at fault."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from itertools import islice
from typing import Any

import protovalidate
from google.protobuf.message import DecodeError, Message

from stockward_server.domain.errors import FieldInvalid, FieldViolation, MessageTooLarge
from stockward_server.grpc_api.counts import count_elements
from stockward_server.grpc_api.names import name_violations, normalise_names
from stockward_server.grpc_api.rule_messages import words_of

FEW = 50
"""Elements of a message in which every fault is looked for. Of a larger one the first fault must do: finding one takes
as long as the rule that it breaks, and an answer has room for some twenty."""

_validator = protovalidate.Validator()


def validate(message: Message, prefix: str = "") -> None:
    """FieldInvalid listing the fields of `message` that break their rules; paths are behind `prefix`. Of a message with
    many elements it names the first one."""
    _refuse_faults(message, first_only=count_elements(message, prefix) > FEW, prefix=prefix)


def _refuse_faults(message: Message, *, first_only: bool, prefix: str = "") -> None:
    names_at_fault = islice(name_violations(message), 1 if first_only else None)
    violations = [FieldViolation(prefix + each.field, each.description) for each in names_at_fault]
    names = {violation.field for violation in violations}
    violations += (
        FieldViolation(path, words_of(message.DESCRIPTOR, broken))
        for broken in (each.proto for each in _validator.collect_violations(message, fail_fast=first_only))
        if (path := prefix + _path(broken.field)) not in names
    )
    if violations:
        first = violations[0]
        raise FieldInvalid(
            f"{first.field}: {first.description}" if first.field else first.description, violations=violations
        )


def _path(field: Any) -> str:
    path = ""
    for element in field.elements if field else ():
        path += ("." if path else "") + element.field_name
        if element.subscript is not None:
            key = element.subscript.value
            path += f"[{key}]" if isinstance(key, int) else f'["{key}"]'
    return path


MALFORMED = object()
"""Stands for bytes that are no message of the method's type, until its sender can be told so."""


def decoder(decode: Callable[[bytes], Message]) -> Callable[[bytes], Any]:
    """Answers MALFORMED where `decode` fails: gRPC itself would end the call as UNKNOWN, with the exception's text."""

    def decoded(raw: bytes) -> Any:
        try:
            return decode(raw)
        except DecodeError:
            return MALFORMED

    return decoded


class Rules:
    """The contract's rules and the size limit (bytes), for what a call brings in."""

    def __init__(self, max_message_bytes: int) -> None:
        self._limit = max_message_bytes

    def check(self, request_or_iterator: Any) -> Any:
        """The message that was checked, or the messages, each checked as it comes."""
        if isinstance(request_or_iterator, Message) or request_or_iterator is MALFORMED:
            self._check(request_or_iterator)
            return request_or_iterator
        return self._each(request_or_iterator)

    def _check(self, message: Any) -> None:
        if message is MALFORMED:
            raise FieldInvalid("the bytes are not a message of this method's type")
        if message.ByteSize() > self._limit:
            raise MessageTooLarge(
                f"the message has {message.ByteSize()} bytes, {self._limit} are allowed", limit_bytes=self._limit
            )
        first_only = count_elements(message) > FEW
        normalise_names(message)
        _refuse_faults(message, first_only=first_only)

    async def _each(self, messages: AsyncIterator[Message]) -> AsyncIterator[Message]:
        async for message in messages:
            self._check(message)
            yield message
