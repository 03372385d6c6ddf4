"""Requests out of the descriptors alone: every field at its limits and beyond them, and bytes that are no message."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.internal.encoder import _VarintBytes  # type: ignore[attr-defined]
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

DEPTH = 4
"""Messages in messages."""

INTEGERS = (0, 1, -1, 2, 100, 1000, 1001, 10**9, 10**9 + 1, 2**31 - 1, -(2**31))
LONG_INTEGERS = (*INTEGERS, 10**12, 10**12 + 1, 2**63 - 1, -(2**63), 2**32)
ENUMS = (0, 1, 2, 3, -1, 99, 2**31 - 1, -(2**31))
COUNTS = (0, 1, 1, 2, 3, 1001)

Kind = FieldDescriptor
SIGNED = {Kind.TYPE_INT32, Kind.TYPE_SINT32, Kind.TYPE_SFIXED32}
LONG = {Kind.TYPE_INT64, Kind.TYPE_SINT64, Kind.TYPE_SFIXED64}


class Fuzzer:
    """Makes requests of one kind. `known` are texts that name something, such as ids and SKUs."""

    def __init__(self, rng: Random, known: Sequence[str]) -> None:
        self._rng = rng
        self._texts = (
            *known,
            *known,
            "",
            "x",
            "a\0b",
            "x" * 65,
            "é" * 200,
            "💥\u202e\ufeff",
            "GRU\u0308N/1@main",
            "' OR 1=1 --",
            "%s{0}\r\nx: y",
            "0190aaaa-0000-7000-8000-000000000000",
            "x" * 5000,
            "stock.*",
        )

    def message(self, descriptor: Descriptor, depth: int = DEPTH) -> Message:
        """Some of its fields, with values that may or may not be allowed."""
        message = GetMessageClass(descriptor)()
        for field in descriptor.fields:
            if self._rng.random() < 0.6 and not (field.message_type and depth == 0):
                self._fill(message, field, depth)
        return message

    def change(self, message: Message) -> None:
        """Gives one field of it, or of a message in it, another value."""
        fields: Sequence[FieldDescriptor] = message.DESCRIPTOR.fields  # type: ignore[assignment]
        field = self._rng.choice(fields)
        inner: Any = getattr(message, field.name)
        if field.message_type and not field.is_repeated and message.HasField(field.name) and self._rng.random() < 0.7:
            self.change(inner)
        elif field.message_type and field.is_repeated and inner and self._rng.random() < 0.7:
            self.change(self._rng.choice(inner))
        else:
            message.ClearField(field.name)
            self._fill(message, field, 1)

    def _fill(self, message: Any, field: FieldDescriptor, depth: int) -> None:
        if field.message_type and field.message_type.GetOptions().map_entry:
            target = getattr(message, field.name)
            key, value = field.message_type.fields
            for _ in range(self._rng.choice((1, 2, 60))):
                if value.message_type:
                    target[self._value(key)].CopyFrom(self.message(value.message_type, depth - 1))
                else:
                    target[self._value(key)] = self._value(value)
        elif field.is_repeated:
            count = self._rng.choice(COUNTS)
            if field.message_type:
                one = self.message(field.message_type, depth - 1)
                getattr(message, field.name).extend([one] * count)
            else:
                getattr(message, field.name).extend([self._value(field)] * count)
        elif field.message_type:
            getattr(message, field.name).CopyFrom(self.message(field.message_type, depth - 1))
        else:
            setattr(message, field.name, self._value(field))

    def _value(self, field: FieldDescriptor) -> Any:
        if field.type in SIGNED:
            return self._rng.choice(INTEGERS)
        if field.type in LONG:
            return self._rng.choice(LONG_INTEGERS)
        if field.type == Kind.TYPE_ENUM:
            return self._rng.choice(ENUMS)
        if field.type == Kind.TYPE_BOOL:
            return self._rng.random() < 0.5
        if field.type == Kind.TYPE_STRING:
            return self._rng.choice(self._texts)
        if field.type == Kind.TYPE_BYTES:
            return self._rng.randbytes(self._rng.choice((0, 1, 40, 10_000)))
        return self._rng.choice((0, 1, 2**31))

    def raw(self, descriptor: Descriptor) -> bytes:
        """A message, and often something done to its bytes."""
        raw = self.message(descriptor).SerializeToString()
        spoil: Callable[[bytes], bytes] = self._rng.choice(
            (
                bytes,
                bytes,
                bytes,
                self._flipped,
                self._cut,
                self._with_unknown_fields,
                self._deep,
                self._with_bad_text(descriptor),
            )
        )
        return spoil(raw)

    def _flipped(self, raw: bytes) -> bytes:
        spoiled = bytearray(raw)
        for _ in range(min(3, len(raw))):
            spoiled[self._rng.randrange(len(raw))] = self._rng.randrange(256)
        return bytes(spoiled)

    def _cut(self, raw: bytes) -> bytes:
        return raw[: self._rng.randrange(len(raw) + 1)]

    def _with_unknown_fields(self, raw: bytes) -> bytes:
        """One of each wire type, among them a number that no field may have."""
        number = self._rng.choice((5000, 2**29 - 1, 19_500))
        return raw + b"".join(
            _VarintBytes(number << 3 | wire_type) + value
            for wire_type, value in ((0, b"\xff" * 9 + b"\x01"), (1, bytes(8)), (2, b"\x03abc"), (5, bytes(4)))
        )

    def _deep(self, raw: bytes) -> bytes:
        """Groups in groups, ended or not."""
        depth = self._rng.choice((50, 99, 10_000))
        return raw + b"\x93\x4e" * depth + b"\x94\x4e" * self._rng.choice((depth, 0))

    def _with_bad_text(self, descriptor: Descriptor) -> Callable[[bytes], bytes]:
        """A text that is no UTF-8."""
        texts = [field for field in descriptor.fields if field.type == Kind.TYPE_STRING]
        if not texts:
            return bytes
        return lambda raw: raw + _VarintBytes(self._rng.choice(texts).number << 3 | 2) + b"\x04a\xff\xfe\xc0"
