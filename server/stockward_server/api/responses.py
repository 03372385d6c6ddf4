"""Responses as messages, which are stored encoded with the request_id of their request."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from google.protobuf.message import Message

from stockward_server.application.response_codec import R, ResponseCodec

K = TypeVar("K", bound=Message)


def response_codec(kind: type[K], make: Callable[[R], K]) -> ResponseCodec[R, K]:
    """Returns the codec of the methods that answer with this kind of message; `make` makes one from a result."""
    return ResponseCodec(make, lambda message: message.SerializeToString(), kind.FromString)
