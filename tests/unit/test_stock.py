"""Stock at a location: what is available, where units come from, adjustments, alerts."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockward_server.domain.errors import InsufficientStock, QuantityOverflow, StockChanged, StockNegative
from stockward_server.domain.stock import (
    MAX_COUNT,
    MAX_ORDERED,
    NOWHERE,
    Adjustment,
    AdjustmentReason,
    AlertLevel,
    MovementKind,
    Portion,
    StockLevel,
    alert_level,
    decide_adjustment,
    obtainable,
    take,
    take_all,
    untracked_level,
)
from tests.examples import deltas, level

NONE, LOW, DEPLETED, SHORTFALL = AlertLevel


def places(*levels: StockLevel) -> list[StockLevel]:
    """One SKU at several locations, by priority; those without a name become `one`, `two` ..."""
    return [each.but(location_id=name) for name, each in zip(("one", "two", "three"), levels, strict=False)]


def taken(levels: list[StockLevel], quantity: int) -> dict[str, int] | None:
    portions = take(levels, quantity)
    return None if portions is None else {p.location_id: p.quantity for p in portions}


def test_available_is_what_nobody_was_promised() -> None:
    assert level(10, reserved=2, allocated=3, safety_stock=1).available == 4
    assert level(1, allocated=3).available == -2


# Where units come from


def test_units_come_from_the_first_location_that_has_them() -> None:
    assert taken(places(level(5), level(5)), 5) == {"one": 5}


def test_a_quantity_is_split_over_locations_by_priority() -> None:
    assert taken(places(level(2), level(0), level(9)), 5) == {"one": 2, "three": 3}


@pytest.mark.parametrize(
    "held",
    [{"reserved": 3}, {"allocated": 3}, {"safety_stock": 3}, {"reserved": 1, "allocated": 1, "safety_stock": 1}],
)
def test_promised_and_safety_units_are_not_taken(held: dict[str, int]) -> None:
    assert taken([level(5, **held)], 2) == {"main": 2}
    assert taken([level(5, **held)], 3) is None


def test_a_closed_location_gives_nothing() -> None:
    levels = places(level(5, active=False), level(2))
    assert taken(levels, 2) == {"two": 2}
    assert taken(levels, 3) is None
    assert obtainable(levels) == 2


def test_backorders_come_after_the_units_of_every_location() -> None:
    levels = places(level(1, backorder_limit=10), level(3))
    assert taken(levels, 4) == {"one": 1, "two": 3}
    assert taken(levels, 6) == {"one": 3, "two": 3}
    assert taken(levels, 14) == {"one": 11, "two": 3}
    assert taken(levels, 15) is None


def test_backorders_end_at_their_limit_however_deep_it_is_already() -> None:
    assert taken([level(0, allocated=4, backorder_limit=5)], 1) == {"main": 1}
    assert taken([level(0, allocated=5, backorder_limit=5)], 1) is None


@pytest.mark.parametrize("owing", [{}, {"active": False}, {"active": False, "backorder_limit": 9}, {"safety_stock": 9}])
def test_what_one_location_owes_and_has_not_comes_from_the_others(owing: dict[str, Any]) -> None:
    """10 were at one location and 5 of them ordered when all 10 went to another: 5 are left to order."""
    levels = places(level(0, allocated=5, **owing), level(10))
    assert [each.overhang for each in levels] == [5, 0]
    assert obtainable(levels) == 5
    assert taken(levels, 5) == {"two": 5}
    assert taken(levels, 6) is None
    assert taken(levels, 8) is None


def test_backorders_within_their_limit_are_no_burden_to_others() -> None:
    levels = places(level(0, allocated=5, backorder_limit=5), level(2))
    assert taken(levels, 2) == {"two": 2}
    levels[0] = levels[0].but(allocated=6)
    assert taken(levels, 2) is None


def test_safety_stock_is_kept_back_at_its_own_location_only() -> None:
    levels = places(level(3, reserved=3, safety_stock=9), level(2))
    assert taken(levels, 2) == {"two": 2}


def test_a_sku_that_is_not_tracked_has_as_many_as_one_order_may_name() -> None:
    (endless,) = levels = [untracked_level("PDF")]
    assert obtainable(levels) == MAX_ORDERED == 1_000_000_000
    assert take(levels, MAX_ORDERED) == [Portion("PDF", NOWHERE, MAX_ORDERED)]
    assert take(levels, MAX_ORDERED + 1) is None
    assert alert_level(endless) is NONE


def test_there_is_nothing_where_there_is_no_row() -> None:
    assert take([], 1) is None


counts = st.integers(0, 8)
rows = st.lists(
    st.builds(level, counts, counts, counts, safety_stock=counts, backorder_limit=counts, active=st.booleans()),
    max_size=3,
)


@given(rows, st.lists(st.integers(1, 9), max_size=12))
def test_orders_get_what_is_obtainable_and_not_one_unit_more(levels: list[StockLevel], orders: list[int]) -> None:
    """Whatever was promised before, and in whatever steps: all promises together stay within what all locations hold
    and what active ones may owe."""
    levels = places(*levels)
    for quantity in orders:
        before = obtainable(levels)
        portions = take(levels, quantity)
        assert (portions is not None) == (quantity <= before)
        for portion in portions or ():
            (index,) = (i for i, each in enumerate(levels) if each.location_id == portion.location_id)
            at = levels[index] = levels[index].but(allocated=levels[index].allocated + portion.quantity)
            assert at.active
            assert at.reserved + at.allocated + at.safety_stock <= at.on_hand + at.backorder_limit
        assert obtainable(levels) == before - (quantity if portions else 0)
        if portions:
            promised = sum(each.reserved + each.allocated for each in levels)
            held = sum(each.on_hand + (each.backorder_limit if each.active else 0) for each in levels)
            assert promised <= held
    assert take(levels, obtainable(levels) + 1) is None


@given(rows, st.integers(1, 30))
def test_all_or_nothing_and_never_more_than_there_is(levels: list[StockLevel], quantity: int) -> None:
    found = taken(places(*levels), quantity)
    if quantity > obtainable(levels):
        assert found is None
        return
    assert found is not None
    assert sum(found.values()) == quantity
    for each in levels:
        units = found.get(each.location_id, 0)
        assert each.active or not units
        assert units <= max(0, each.available + each.backorder_limit)
    if any(found.get(each.location_id, 0) > max(0, each.available) for each in levels):  # a backorder:
        assert all(found.get(each.location_id, 0) >= each.available for each in levels if each.active)


def test_several_skus_are_taken_together() -> None:
    portions = take_all({"MUG": 2, "CAP": 1}, {"MUG": [level(2)], "CAP": [level(1, sku="CAP")]})
    assert [(p.sku, p.location_id, p.quantity) for p in portions] == [("MUG", "main", 2), ("CAP", "main", 1)]


def test_every_sku_that_is_short_is_named() -> None:
    levels = {"MUG": [level(1)], "CAP": [level(9, sku="CAP")]}
    with pytest.raises(InsufficientStock, match=r"^MUG: 3 wanted, 1 available \(2 SKUs are short\)$") as refusal:
        take_all({"MUG": 3, "CAP": 2, "HAT": 1}, levels)
    assert refusal.value.metadata == {"sku": "MUG", "requested": "3", "available": "1"}
    assert [(p.type, p.subject, p.description) for p in refusal.value.preconditions] == [
        ("STOCK", "MUG", "3 wanted, 1 available"),
        ("STOCK", "HAT", "1 wanted, 0 available"),
    ]


def test_an_owing_sku_is_said_to_have_none_rather_than_less_than_none() -> None:
    with pytest.raises(InsufficientStock) as refusal:
        take_all({"MUG": 1}, {"MUG": [level(1, allocated=4)]})
    assert refusal.value.metadata["available"] == "0"


# Adjustments


def adjustment(delta: int | None = None, on_hand: int | None = None, expected: int | None = None) -> Adjustment:
    return Adjustment("MUG", "main", delta, on_hand, expected, AdjustmentReason.COUNTED, "shelf 3", "count-7")


@pytest.mark.parametrize(
    ("wanted", "change"),
    [
        (adjustment(delta=5), 5),
        (adjustment(delta=-10), -10),
        (adjustment(on_hand=3), -7),
        (adjustment(on_hand=0), -10),
        (adjustment(on_hand=10), 0),
        (adjustment(delta=1, expected=10), 1),
        (adjustment(on_hand=12, expected=10), 2),
    ],
)
def test_an_adjustment_changes_on_hand_alone(wanted: Adjustment, change: int) -> None:
    decided = decide_adjustment(wanted, level(10, reserved=4, allocated=5))
    assert deltas([decided]) == {("MUG", "main"): (change, 0, 0)}
    assert (decided.kind, decided.reason) == (MovementKind.ADJUSTED, AdjustmentReason.COUNTED)
    assert (decided.note, decided.reference) == ("shelf 3", "count-7")


@pytest.mark.parametrize("wanted", [adjustment(delta=1, expected=9), adjustment(on_hand=10, expected=11)])
def test_another_count_than_expected_is_refused(wanted: Adjustment) -> None:
    with pytest.raises(StockChanged, match="has 10 on hand") as refusal:
        decide_adjustment(wanted, level(10))
    assert refusal.value.metadata["on_hand"] == "10"
    assert refusal.value.metadata["expected_on_hand"] == str(wanted.expected_on_hand)


def test_on_hand_never_falls_below_zero() -> None:
    with pytest.raises(StockNegative) as refusal:
        decide_adjustment(adjustment(delta=-11), level(10))
    assert refusal.value.metadata == {"sku": "MUG", "location_id": "main", "on_hand": "10", "delta": "-11"}


def test_a_count_has_an_upper_end() -> None:
    assert decide_adjustment(adjustment(delta=1), level(MAX_COUNT - 1)).on_hand == 1
    with pytest.raises(QuantityOverflow):
        decide_adjustment(adjustment(delta=1), level(MAX_COUNT))


# Alerts


def alerts(availables: list[int], start: AlertLevel = NONE, **policy: Any) -> list[AlertLevel]:
    """The alerts that stand as available takes these values."""
    stands = []
    for available in availables:
        start = alert_level(level(max(0, available), allocated=max(0, -available), alert_level=start, **policy))
        stands.append(start)
    return stands


@pytest.mark.parametrize(
    ("reorder_point", "availables", "expected"),
    [
        (10, [11, 10, 9], [NONE, LOW, LOW]),
        (10, [10, 11, 12, 11], [LOW, LOW, NONE, NONE]),
        (100, [100, 110, 111], [LOW, LOW, NONE]),
        (10, [5, 0, 5, 12], [LOW, DEPLETED, LOW, NONE]),
        (10, [-1, 0, 5, 11, 12], [SHORTFALL, DEPLETED, LOW, LOW, NONE]),
        (10, [11, 10, 0, -1], [NONE, LOW, DEPLETED, SHORTFALL]),
        (10, [-1, 11, 0, 12, 11], [SHORTFALL, LOW, DEPLETED, NONE, NONE]),
        (10, [0], [DEPLETED]),
        (0, [1, 0, 1, 2], [NONE, DEPLETED, LOW, NONE]),
        (None, [1, 0, 1], [NONE, DEPLETED, NONE]),
        (None, [-1, 0, 1], [SHORTFALL, DEPLETED, NONE]),
    ],
)
def test_an_alert_follows_the_level_at_once_and_clears_with_hysteresis(
    reorder_point: int | None, availables: list[int], expected: list[AlertLevel]
) -> None:
    assert alerts(availables, reorder_point=reorder_point) == expected


@given(st.integers(0, 1000), st.data())
def test_stock_that_hovers_at_the_reorder_point_alerts_once(reorder_point: int, data: st.DataObject) -> None:
    top = reorder_point + max(1, reorder_point // 10)
    hovering = data.draw(st.lists(st.integers(1, top), min_size=1)) if top else []
    stands = [NONE, *alerts(hovering, reorder_point=reorder_point)]
    assert sum(a is not b for a, b in pairwise(stands)) <= 1


def test_a_backorder_within_its_limit_is_no_shortfall() -> None:
    assert alert_level(level(0, allocated=5, backorder_limit=5)) is DEPLETED
    assert alert_level(level(0, allocated=6, backorder_limit=5)) is SHORTFALL


def test_safety_stock_depletes_early_but_is_no_shortfall() -> None:
    assert alert_level(level(3, safety_stock=3)) is DEPLETED
    assert alert_level(level(3, allocated=3, safety_stock=9)) is DEPLETED


def test_an_alert_clears_when_its_reorder_point_is_taken_away() -> None:
    assert alert_level(level(5, alert_level=LOW)) is NONE
