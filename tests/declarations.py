"""What the contract declares: every service, method, message, field, enum and value of a compiled file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorProto


def declarations(element: Any, path: tuple[int, ...], name: str) -> Iterator[tuple[tuple[int, ...], str]]:
    """Yields path in the file and name of everything declared in `element`, itself left out."""
    for field in ("service", "method", "message_type", "nested_type", "enum_type", "field", "value", "extension"):
        if field not in element.DESCRIPTOR.fields_by_name:
            continue
        number = element.DESCRIPTOR.fields_by_name[field].number
        for index, each in enumerate(getattr(element, field)):
            if field == "nested_type" and each.options.map_entry:
                continue  # made by the compiler
            here = (*path, number, index)
            yield here, f"{name}.{each.name}"
            yield from declarations(each, here, f"{name}.{each.name}")


def comments_of(file: FileDescriptorProto) -> dict[tuple[int, ...], str]:
    """Returns the comments of a file by the path of what they stand before."""
    return {tuple(each.path): each.leading_comments.strip() for each in file.source_code_info.location}
