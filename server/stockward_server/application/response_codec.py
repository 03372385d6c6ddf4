"""Converts the result of a mutation to its response, and to the bytes stored for repeated requests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

R = TypeVar("R")
"""The result of a mutation, in the domain's types."""

M = TypeVar("M")
"""The message that its caller receives."""


@dataclass(frozen=True, slots=True)
class Response(Generic[M]):
    """The response to a request, and the bytes to store with its request_id.

    The bytes are made first: data that only the first caller may see, such as a secret, is added to the message later.
    """

    message: M
    stored: bytes


@dataclass(frozen=True)
class ResponseCodec(Generic[R, M]):
    """Makes the response of one method from a result, and restores it from stored bytes."""

    make: Callable[[R], M]
    encode: Callable[[M], bytes]
    decode: Callable[[bytes], M]

    def respond(self, result: R) -> Response[M]:
        """Returns the response to a request."""
        message = self.make(result)
        return Response(message, self.encode(message))

    def message_of(self, response: Response[M] | bytes) -> M:
        """Returns the message of a response; stored bytes are parsed."""
        return self.decode(response) if isinstance(response, bytes) else response.message


NO_RESPONSE: ResponseCodec[None, None] = ResponseCodec(lambda _: None, lambda _: b"", lambda _: None)
"""Codec of changes by the system: they cannot be repeated, so nothing is stored."""
