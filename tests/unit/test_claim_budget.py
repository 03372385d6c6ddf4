"""The memory for events that are to be sent: what a hanging endpoint leaves to the others."""

from __future__ import annotations

from stockward_server.gateway.claim_budget import ClaimBudget


def test_an_endpoint_that_hangs_leaves_room_for_the_next_ones() -> None:
    budget = ClaimBudget(1000)
    for endpoint_id, expected in (("a", 1000), ("b", 500), ("c", 250)):
        assert budget.room([endpoint_id]) == {endpoint_id: expected}
        budget.take(endpoint_id, expected // 2)
        assert endpoint_id not in budget.room([endpoint_id]), "it has its share"
    assert budget.room("abcd") == {"d": 125}


def test_what_was_given_back_can_be_claimed_again() -> None:
    budget = ClaimBudget(1000)
    budget.take("a", 900)
    assert budget.room("ab") == {"b": 100}
    budget.give_back("a", 900)
    assert budget.room("ab") == {"a": 1000, "b": 1000}


def test_nothing_is_claimed_for_a_little_room() -> None:
    budget = ClaimBudget(1600)
    budget.take("a", 1501)
    assert budget.room("ab") == {}
    budget.take("b", 5000)  # one large event may be more than there is room for
    assert budget.free < 0
    assert budget.room("abc") == {}
