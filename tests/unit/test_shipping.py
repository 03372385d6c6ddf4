"""Where the units of an order leave from: nothing leaves that is not there, or that others own."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stockward_server.domain.shipping import plan_shipment, shippable
from tests.examples import level

PLACES = ("one", "two", "three")
counts = st.integers(0, 6)


@given(
    st.lists(st.tuples(counts, counts, counts, st.booleans()), min_size=1, max_size=3),
    st.lists(counts, min_size=3, max_size=3),
    st.sampled_from(["", *PLACES, "four"]),
    st.data(),
)
def test_a_shipment_takes_what_is_there_and_moves_what_it_must(
    rows: list[tuple[int, int, int, bool]], claims: list[int], location_id: str, data: st.DataObject
) -> None:
    owed = {place: units for place, units in zip(PLACES[: len(rows)], claims, strict=False) if units}
    levels = [
        level(on_hand, reserved, others + owed.get(place, 0), location_id=place, active=active)
        for place, (on_hand, reserved, others, active) in zip(PLACES, rows, strict=False)
    ]
    quantity = data.draw(st.integers(0, sum(owed.values())))
    plan = plan_shipment(levels, owed, quantity, location_id)

    possible = {
        each.location_id: shippable(each, owed.get(each.location_id, 0))
        for each in levels
        if location_id in ("", each.location_id)
    }
    assert sum(plan.leaving.values()) == min(quantity, sum(possible.values()))
    assert all(0 < units <= possible[place] for place, units in plan.leaving.items())
    assert sum(plan.claimed.values()) == sum(plan.released.values())
    assert sum(plan.used.values()) == sum(plan.leaving.values())
    for each in levels:
        place = each.location_id
        left, claimed, released = (units.get(place, 0) for units in (plan.leaving, plan.claimed, plan.released))
        own = owed.get(place, 0)
        assert not (claimed and released)
        assert claimed <= each.free
        assert plan.used.get(place, 0) == released + left - claimed <= own
        # What others own here is as much on hand as it was, unless the order's own units are what they lack.
        others = each.reserved + each.allocated - own
        assert each.on_hand - left >= min(others, each.on_hand - min(own, each.on_hand))
