"""Builds without a guard, each to be seen by its attack.

They exist in tests only: the server's process patches the code as it is loaded, and so does the one that makes the
edge's configuration; nothing in the code knows.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stockward_server.edge import config, unknown_fields
from stockward_server.runtime import turns
from stockward_server.storage.write import committer, lanes
from stockward_server.wire.validation import rules

Patch = Callable[[object, str, Any], None]
"""setattr, or one that can be taken back."""

NO_BUDGET = Path(__file__).with_name("no_budget.lua")


@dataclass(frozen=True, slots=True)
class Unguarded:
    """A build without a guard."""

    seen_by: str
    """The attack that it does not hold."""
    remove: Callable[[Patch], None]


def counting(patch: Patch) -> None:
    """Lists are parsed and walked whatever their length, and every fault in them is looked for."""

    patch(rules, "check_counts", lambda *_: None)
    patch(rules, "count_elements", lambda *_: 0)


def slices(patch: Patch) -> None:
    """Long work is done in one go."""

    async def begin(_: object) -> None:
        pass

    async def do(_: object, work: Callable[[], Any]) -> Any:
        return work()

    patch(turns.Turns, "begin", begin)
    patch(turns.Beside, "do", do)


def fairness(patch: Patch) -> None:
    """Commands are taken in the order in which they came, whatever their length."""

    class Queue(deque[tuple[Any, int]]):
        def __init__(self, limit: int) -> None:
            super().__init__()

        def put(self, item: Any, weight: int, share: object) -> bool:
            self.append((item, weight))
            return True

        def take(self, most: int) -> tuple[Any, int] | None:
            return self.popleft() if self and self[0][1] <= most else None

        def forgive(self) -> None:
            pass

    patch(committer, "FairQueue", Queue)
    patch(lanes, "MUCH", sys.maxsize)


def budget(patch: Patch) -> None:
    """The edge parses whatever bodies a caller with a key sends."""
    patch(unknown_fields, "BUDGET", NO_BUDGET)


def refusal(patch: Patch) -> None:
    """The edge lets the server answer calls without a credential, at any pace: the pace would hide that."""
    patch(config, "question_script", lambda: "function envoy_on_request(handle) end")
    patch(config, "even_pace", lambda _: [])


def pace(patch: Patch) -> None:
    """The edge lets as many calls of one caller through at once as there are."""
    patch(config, "even_pace", lambda _: [])


BUILDS = {
    "counting": Unguarded("gRPC: empty lines, 256 KiB", counting),
    "slices": Unguarded("gRPC: wrong SKUs, 4 MiB", slices),
    "budget": Unguarded("edge: attributes, 525 KiB with a key", budget),
    "refusal": Unguarded("edge: calls without a message", refusal),
    "pace": Unguarded("edge: calls without a message, with a key", pace),
    "fairness": Unguarded("gRPC: batches of 20 orders of 1,000 lines", fairness),
}


@contextmanager
def removed(guard: str) -> Iterator[None]:
    """The code in this process is without the guard, as long as the block lasts; without a name nothing is removed."""
    former: list[tuple[object, str, Any]] = []

    def patch(where: object, name: str, value: Any) -> None:
        former.append((where, name, getattr(where, name)))
        setattr(where, name, value)

    if guard:
        BUILDS[guard].remove(patch)
    try:
        yield
    finally:
        for where, name, value in former:
            setattr(where, name, value)
