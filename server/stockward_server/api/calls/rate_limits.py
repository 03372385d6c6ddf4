"""How often one caller may call: a bucket of calls for each caller and kind of method."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from stockward_server.application.calls import MethodKind
from stockward_server.domain.errors import RateLimited

MAX_CALLERS = 100_000
"""Callers that are remembered at a time, about 10 MB a kind; beyond, those whose bucket is full are forgotten."""


def kind_of(method: MethodDescriptor) -> MethodKind:
    """By what the contract says: every mutation has a request_id, and a batch has rows, or repeats requests that have
    one."""
    fields = method.input_type.fields_by_name
    batch = fields["requests"].message_type if "requests" in fields else None
    changes_rows = "rows" in fields and "request_id" in fields
    if method.client_streaming or method.server_streaming or changes_rows:
        return MethodKind.BULK
    if batch and "request_id" in batch.fields_by_name:
        return MethodKind.BULK
    return MethodKind.WRITE if "request_id" in fields else MethodKind.READ


class RateLimits:
    """Asks callers to slow down. Each process counts by itself.

    A bucket is one number, the time at which it would be full again (the generic cell rate algorithm): each call moves
    it on by the interval between two calls, and may be made while it lies less than a full bucket ahead.
    """

    def __init__(
        self,
        services: Iterable[ServiceDescriptor],
        per_second: Mapping[MethodKind, float],
        burst_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`per_second`: calls of one caller; 0 for no limit. A bucket holds what comes in `burst_seconds`."""
        self._clock = clock
        buckets = {
            kind: _Buckets(kind, rate, max(rate * burst_seconds, 1) / rate)
            for kind, rate in per_second.items()
            if rate > 0
        }
        self._buckets = {
            f"/{service.full_name}/{method.name}": buckets[kind]
            for service in services
            for method in service.methods
            if (kind := kind_of(method)) in buckets
        }

    def take(self, caller: str, method: str) -> None:
        """Counts a call; RateLimited when the bucket is empty, and then nothing is counted."""
        buckets = self._buckets.get(method)
        if buckets is not None:
            buckets.take(caller, self._clock())


class _Buckets:
    """The buckets of one kind of method, by caller."""

    def __init__(self, kind: MethodKind, rate: float, holds: float) -> None:
        self._kind = kind
        self._rate = rate
        self._interval = 1 / rate
        self._slack = holds - self._interval
        self._full_at: dict[int, float] = {}
        """By a hash of the caller, whose name may be long. It is keyed: a caller cannot find another with the same."""

    def take(self, name: str, now: float) -> None:
        caller = hash(name)
        full_at = self._full_at.get(caller, now)
        if full_at < now:
            full_at = now
        wait = full_at - now - self._slack
        if wait > 1e-9:  # what dividing and adding leave over is no call
            raise RateLimited(self._kind, self._rate, wait)
        self._full_at[caller] = full_at + self._interval
        if len(self._full_at) > MAX_CALLERS:
            self._forget(now)

    def _forget(self, now: float) -> None:
        """Full buckets are as good as none. Where too few are, half of those that have been there longest go."""
        self._full_at = {caller: at for caller, at in self._full_at.items() if at > now}
        if len(self._full_at) > MAX_CALLERS // 2:
            for caller in list(self._full_at)[: MAX_CALLERS // 2]:
                del self._full_at[caller]
