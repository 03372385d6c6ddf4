"""How the synchronous client calls."""

from __future__ import annotations

import itertools
import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar, cast

import grpc
from google.protobuf.message import Message

from stockward_client.connection import MAX_PAGE_SIZE, advance, merge, number, pauses
from stockward_client.consistency import Consistency
from stockward_client.errors import Aborted, Unavailable
from stockward_client.reasons import CursorExpired, CursorLost
from stockward_client.status import typed_errors

log = logging.getLogger(__name__)

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)
Item = TypeVar("Item")


class Pages(Generic[Response, Item]):
    """The rows of a list, page after page; each page is one call. May be iterated again, and then asks again."""

    def __init__(
        self, fetch: Callable[[Any], Response], request: Any, items: Callable[[Response], Iterable[Item]]
    ) -> None:
        self._fetch = fetch
        self._request = request
        self._items = items

    def __iter__(self) -> Iterator[Item]:
        """Every row."""
        return itertools.chain.from_iterable(map(self._items, self.pages()))

    def pages(self) -> Iterator[Response]:
        """Every answer as it came, with the token or cursor to go on from another time."""
        request = type(self._request)()
        request.CopyFrom(self._request)
        while True:
            page = self._fetch(request)
            yield page
            if not advance(request, page):
                return

    def first(self, count: int) -> Response:
        """Returns the first `count` rows as one response, whose token or cursor goes on after them. It takes as many
        calls as these rows have pages. ValueError unless `count` is at least 1.
        """
        if count < 1:
            raise ValueError("count must be at least 1")
        request = type(self._request)()
        request.CopyFrom(self._request)
        pages: list[Response] = []
        left = count
        while True:
            request.page_size = min(left, MAX_PAGE_SIZE)
            page = self._fetch(request)
            pages.append(page)
            left -= sum(1 for _ in self._items(page))
            if not advance(request, page) or left <= 0:
                return merge(pages, self._items)


class Calls:
    """Adds to the stubs: the key, deadlines, retries, request_ids, typed errors."""

    def __init__(self, key: Callable[[], str], timeout: float, retry_for: float | None) -> None:
        """`key` is asked before every attempt; `timeout` and `retry_for` in seconds, see `Stockward`."""
        self.consistency = Consistency()
        self._key = key
        self._timeout = timeout
        self._retry_for = math.inf if retry_for is None else retry_for

    def unary(
        self, method: grpc.UnaryUnaryMultiCallable[Request, Response], request: Request, timeout: float | None
    ) -> Response:
        """One request, one response; tried again within `timeout` and `retry_for` while the server is unavailable."""
        request_id = number(request)
        started = time.monotonic()
        deadline = started + (self._timeout if timeout is None else timeout)
        last_attempt = min(deadline, started + self._retry_for)
        waiting = pauses()
        while True:
            try:
                with typed_errors(request_id):
                    left = deadline - time.monotonic()
                    response, call = method.with_call(request, timeout=left, metadata=self._metadata())
                self.consistency.note(call.trailing_metadata())
                return response
            except Unavailable:
                pause = next(waiting)
                if time.monotonic() + pause >= last_attempt:
                    raise
                time.sleep(pause)

    def pages(
        self,
        method: grpc.UnaryUnaryMultiCallable[Request, Response],
        request: Request,
        items: Callable[[Response], Iterable[Item]],
        timeout: float | None,
    ) -> Pages[Response, Item]:
        """The rows that `items` finds in each page; `timeout` in seconds for each."""
        return Pages(lambda each: self.unary(method, each, timeout), request, items)

    def upload(
        self,
        method: grpc.StreamUnaryMultiCallable[Request, Response],
        requests: Iterable[Request],
        timeout: float | None,
    ) -> Response:
        """A stream of requests, one response. Not tried again: the requests may not be there any more."""
        with typed_errors():
            response, call = method.with_call(_numbered(requests), timeout=timeout, metadata=self._metadata())
        self.consistency.note(call.trailing_metadata())
        return response

    def exchange(
        self,
        method: grpc.StreamStreamMultiCallable[Request, Response],
        requests: Iterable[Request],
        timeout: float | None,
    ) -> Iterator[Response]:
        """A stream each way. Not tried again. Leaving the iterator cancels the call."""
        call = method(_numbered(requests), timeout=timeout, metadata=self._metadata())
        try:
            with typed_errors():
                yield from call
            self.consistency.note(call.trailing_metadata())
        finally:
            call.cancel()

    def watch(
        self, method: grpc.UnaryStreamMultiCallable[Request, Response], request: Any, timeout: float | None
    ) -> Iterator[Response]:
        """A stream that is opened again after the last cursor that came when it ends or breaks: nothing is missed.
        Where the cursor is good no longer (CursorExpired, CursorLost), that is logged, and the present state comes
        again.

        Raises Unavailable once the server was away for `timeout` seconds. Leaving the iterator cancels the call.
        """
        heard, waiting = time.monotonic(), pauses()
        while True:
            call = method(request, metadata=self._metadata())
            try:
                with typed_errors():
                    for response in call:
                        request.cursor = cast(Any, response).cursor or request.cursor  # none before the state is sent
                        waiting = pauses()
                        yield response
                        heard = time.monotonic()
            except (CursorExpired, CursorLost) as error:
                log.warning("a watch begins again with the present state: %s", error)
                request.cursor = ""
            except (Unavailable, Aborted):  # away, or faster than we read
                if timeout is not None and time.monotonic() - heard > timeout:
                    raise
            finally:
                call.cancel()
            time.sleep(next(waiting))

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        return self.consistency.metadata(self._key())


def _numbered(requests: Iterable[Request]) -> Iterator[Request]:
    for request in requests:
        number(request)
        yield request
