"""What both clients share: how they connect, wait between attempts and number their requests."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from ipaddress import ip_address
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message

DEFAULT_TIMEOUT = 10.0
"""Seconds for a call, its retries included."""

MAX_PAGE_SIZE = 1000
"""Rows in the largest page that a server returns."""

FIRST_PAUSE, MAX_PAUSE = 0.1, 2.0
"""Seconds. Pauses double from attempt to attempt; each is drawn at random from its upper half."""

Response = TypeVar("Response", bound=Message)

_OPTIONS = (
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
    # A connection that went dead without a word ends a watch after half a minute.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
)


def channel_options(address: str, options: Iterable[tuple[str, Any]]) -> Sequence[tuple[str, Any]]:
    """gRPC channel arguments: ours, then the caller's. No proxy stands before a server on this machine."""
    return (*_OPTIONS, *((("grpc.enable_http_proxy", 0),) if is_loopback(address) else ()), *options)


def is_plaintext(address: str, credentials: grpc.ChannelCredentials | None, plaintext: bool | None) -> bool:
    """Whether to go without TLS: on loopback, or where the caller says so. ValueError for both."""
    if plaintext and credentials:
        raise ValueError("credentials are for TLS: give them, or plaintext=True, not both")
    return plaintext if plaintext is not None else credentials is None and is_loopback(address)


def is_loopback(address: str) -> bool:
    """Whether `HOST:PORT` or `unix:PATH` is on this machine."""
    if address.startswith("unix:"):
        return True
    host = address.rpartition(":")[0].strip("[]")
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def pauses() -> Iterator[float]:
    """Seconds to wait before each further attempt: exponential, with jitter, without end."""
    pause = FIRST_PAUSE
    while True:
        yield random.uniform(pause / 2, pause)
        pause = min(2 * pause, MAX_PAUSE)


def number(request: Message) -> str:
    """Gives every mutation in `request` a request_id where it has none; answers that of the request itself.

    It is made before the first attempt, so that all attempts carry the same one.
    """
    request_id = ""
    for field in request.DESCRIPTOR.fields:
        if field.name == "request_id":
            request_id = getattr(request, field.name) or str(uuid.uuid4())
            setattr(request, field.name, request_id)
        elif field.is_repeated and field.message_type and "request_id" in field.message_type.fields_by_name:
            for each in getattr(request, field.name):  # a batch
                number(each)
    return request_id


def advance(request: Any, page: Any) -> bool:
    """Points a list request at what comes after `page`; False when there is nothing more now."""
    if hasattr(page, "next_cursor"):
        request.cursor = page.next_cursor
        return not page.caught_up
    request.page_token = page.next_page_token
    return bool(page.next_page_token)


def merge(pages: Sequence[Response], rows_of: Callable[[Any], Any]) -> Response:
    """Returns one response with the rows of all `pages`, and the token or cursor of the last one."""
    merged = type(pages[-1])()
    merged.CopyFrom(pages[-1])
    rows = rows_of(merged)
    del rows[:]
    for page in pages:
        rows.extend(rows_of(page))
    return merged
