"""Responses that nobody reads: whose are refused, and what is left for callers that read."""

from __future__ import annotations

import pytest

from stockward_server.api.calls.send_budget import SMALL, SendBudget
from stockward_server.domain.errors import ResponsesUnread


def leave_unread(budget: SendBudget, caller: str, size: int = SMALL) -> int:
    """Responses to a caller that reads none of them, until one is refused."""
    count = 0
    while True:
        try:
            budget.begin(caller, size)
        except ResponsesUnread:
            return count
        count += 1


def test_a_caller_that_does_not_read_leaves_half_to_the_others() -> None:
    budget = SendBudget(80 * SMALL)
    assert [leave_unread(budget, caller) for caller in "abc"] == [40, 20, 10]
    assert budget.bytes == 70 * SMALL


def test_whoever_reads_is_never_refused() -> None:
    budget = SendBudget(80 * SMALL)
    for caller in "abc":
        leave_unread(budget, caller)
    for _ in range(100):
        budget.begin("d", 10 * SMALL)()
    assert budget.bytes == 70 * SMALL


def test_what_was_read_makes_room() -> None:
    budget = SendBudget(10 * SMALL)
    sent = [budget.begin("a", SMALL) for _ in range(5)]
    with pytest.raises(ResponsesUnread) as refusal:
        budget.begin("a", SMALL)
    assert refusal.value.metadata == {"unread_bytes": str(5 * SMALL), "limit_bytes": str(10 * SMALL)}
    assert refusal.value.retry_after == 1.0
    sent[0]()
    budget.begin("a", SMALL)


def test_small_responses_are_not_counted() -> None:
    budget = SendBudget(SMALL)
    for _ in range(100):
        budget.begin("a", SMALL - 1)
    assert budget.bytes == 0
