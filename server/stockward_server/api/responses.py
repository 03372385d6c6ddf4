"""Responses as messages, which are stored encoded with the request_id of their request."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from google.protobuf.message import Message

from stockward_server.application.response_codec import R, ResponseCodec

K = TypeVar("K", bound=Message)


def response_codec(
    kind: type[K], make: Callable[[R], K], revise: Callable[[K], K] = lambda stored: stored
) -> ResponseCodec[R, K]:
    """Returns the codec of the methods that answer with this kind of message.

    `make` makes one from a result, and `revise` brings one up to date that an earlier release may have stored.
    """
    return ResponseCodec(
        make, lambda message: message.SerializeToString(), lambda stored: revise(kind.FromString(stored))
    )
