"""How many streams one caller may have open in a process at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from google.protobuf.descriptor import ServiceDescriptor

from stockward_server.application.context import Caller
from stockward_server.domain.errors import StreamLimitReached


class StreamLimits:
    """Counts the open watches and uploads of each caller; a customer's tokens are counted together."""

    def __init__(self, services: Iterable[ServiceDescriptor], per_caller: int, per_customer: int) -> None:
        """The limits are streams of one key, or of one subject's tokens, and of one customer; 0 for no limit."""
        self._methods = frozenset(
            f"/{service.full_name}/{method.name}"
            for service in services
            for method in service.methods
            if method.client_streaming or method.server_streaming
        )
        self._per_caller = per_caller
        self._per_customer = per_customer
        self._open: dict[tuple[bool, str], int] = {}

    def enter(self, caller: Caller, method: str) -> Callable[[object], None] | None:
        """Counts a call of a streaming method and returns what is to be called once when it is over; raises
        StreamLimitReached where the caller has as many open as it may. Other methods are not counted: None."""
        if method not in self._methods:
            return None
        is_customer = bool(caller.customer_id)
        limit, counted = (self._per_customer, "customer") if is_customer else (self._per_caller, "caller")
        key = is_customer, caller.customer_id or caller.name
        count = self._open.get(key, 0)
        if 0 < limit <= count:
            raise StreamLimitReached(limit, counted)
        self._open[key] = count + 1
        return lambda _: self._leave(key)

    def _leave(self, key: tuple[bool, str]) -> None:
        self._open[key] -= 1
        if not self._open[key]:
            del self._open[key]
