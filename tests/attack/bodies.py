"""Bodies and messages that are small to send and full of one thing."""

from __future__ import annotations

KIB = 1024
MIB = 1024 * KIB

SIZES = {"256 KiB": 256 * KIB, "4 MiB": 4 * MIB - KIB}
"""Bytes of a body or message, and what that is called."""


def _filled(head: bytes, item: bytes, tail: bytes, size: int) -> bytes:
    return head + item * ((size - len(head) - len(tail)) // len(item)) + tail


def json_bodies(size: int) -> dict[str, bytes]:
    """Returns bodies of an order, about so many bytes each, that are JSON and full of one thing."""
    number = (size - 40) // 13
    return {
        "zeros": _filled(b'{"lines":[0', b",0", b"]}", size),
        "keys": b'{"customer":{' + b",".join(b'"k%07d":0' % each for each in range(number)) + b"}}",
        "nests": _filled(b'{"lines":[0', b"," + b"[" * 50 + b"]" * 50, b"]}", size),
        "deep": _filled(b'{"lines":', b"[", b"", size),
        "empty objects": _filled(b'{"lines":[{}', b",{}", b"]}", size),
        "strings": _filled(b'{"lines":[""', b',""', b"]}", size),
        "one long string": b'{"reference":"' + b"x" * (size - 20) + b'"}',
        "escapes": _filled(b'{"reference":"', b"\\u20ac", b'"}', size),
        "backslashes": _filled(b'{"reference":"', b"\\\\", b'"}', size),
        "blanks": b'{"lines":[' + b" " * (size - 20) + b"]}",
    }


def crowded_bodies() -> dict[str, tuple[str, bytes]]:
    """Returns paths and bodies for them that have nearly as many elements as the edge takes."""
    lines, products, count = "/api/storefront/orders/create", "/api/pms/products/create", 49_900
    return {
        "empty objects, 146 KiB": (lines, b'{"lines":[' + b",".join([b"{}"] * count) + b"]}"),
        "attributes, 525 KiB": (
            products,
            b'{"product":{"attributes":{' + b",".join(b'"%d":""' % each for each in range(count)) + b"}}}",
        ),
        "times, 1.8 MiB": (
            products,
            b'{"product":{' + b",".join([b'"publishTime":"2026-11-22T10:00:00Z"'] * count) + b"}}",
        ),
    }


def framed(tag: int, content: bytes) -> bytes:
    """Returns a field of bytes as protobuf encodes it."""
    size, head = len(content), bytes([tag])
    while size > 127:
        head += bytes([size & 127 | 128])
        size >>= 7
    return head + bytes([size]) + content


CREATE = "/stockward.order.v1.OrderService/CreateOrder"
BATCH = "/stockward.order.v1.OrderService/BatchCreateOrders"


def messages(size: int) -> dict[str, tuple[str, bytes]]:
    """Returns methods and encoded messages for them, about so many bytes each, that are full of one thing."""
    lines = framed(0x0A, framed(0x0A, b"") * 1000)
    return {
        "zeros": (BATCH, framed(0x7A, bytes(size - 16))),
        "keys": (BATCH, b"\x98\x3f\x00" * (size // 3)),
        "nests": (CREATE, nested(size)),
        "empty objects": (BATCH, b"\x0a\x00" * (size // 2)),
        "empty lines": (CREATE, b"\x0a\x00" * (size // 2)),
        "orders of empty lines": (BATCH, lines * min(200, size // len(lines))),
        "strings": ("/stockward.inventory.v1.InventoryService/BatchGetAvailability", b"\x0a\x00" * (size // 2)),
        "one long string": (CREATE, framed(0x22, b"x" * (size - 16))),
    }


def nested(size: int) -> bytes:
    """Returns groups in groups, which every parser of protobuf looks into."""
    return b"\x7b" * (size // 2) + b"\x7c" * (size // 2)
