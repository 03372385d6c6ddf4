"""How the result of a mutation becomes its response, and how that is stored for repetitions of the request."""

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
    """The response to a request that was carried out now, and the bytes to store with its request_id.

    The bytes were made first: what the first caller alone may see, such as a secret, is added to the message later.
    """

    message: M
    stored: bytes


@dataclass(frozen=True)
class ResponseCodec(Generic[R, M]):
    """Makes the response of one method from a result, and restores it from what was stored for that request."""

    make: Callable[[R], M]
    encode: Callable[[M], bytes]
    decode: Callable[[bytes], M]

    def respond(self, result: R) -> Response[M]:
        """Returns the response to a request that was carried out."""
        message = self.make(result)
        return Response(message, self.encode(message))

    def message_of(self, response: Response[M] | bytes) -> M:
        """Returns the message of a response; stored bytes, which answer a repetition, are parsed."""
        return self.decode(response) if isinstance(response, bytes) else response.message


NO_RESPONSE: ResponseCodec[None, None] = ResponseCodec(lambda _: None, lambda _: b"", lambda _: None)
"""Of what time brings about: there is no request that could be repeated, so nothing is stored."""
