"""Running totals and single reports of the same money: it counts once, whichever arrive, and in whatever order."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from itertools import count, permutations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockward_server.domain.payment import PaymentEvent, PaymentKind, as_additions
from tests.examples import NOW

NUMBERS = count()


def single(kind: str, amount: int, second: int = 0, tender: str = "pi_1") -> PaymentEvent:
    when = NOW + timedelta(seconds=second)
    return PaymentEvent("stripe", f"e{next(NUMBERS)}", "order-1", PaymentKind[kind], amount, when, tender)


def so_far(kind: str, amount: int, second: int = 0, tender: str = "pi_1") -> PaymentEvent:
    event = single(kind, amount, second, tender)
    return PaymentEvent(**{name: getattr(event, name) for name in event.__slots__} | {"running_total": True})


def sums(*events: PaymentEvent) -> dict[str, int]:
    """By kind, in minor units."""
    added = Counter[str]()
    for event in as_additions(events):
        assert event.amount >= 0
        assert not event.running_total
        added[event.kind.name] += event.amount
    return dict(added)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([single("CAPTURED", 5), single("CAPTURED", 7)], {"CAPTURED": 12}),
        ([so_far("CAPTURED", 5), so_far("CAPTURED", 12), so_far("CAPTURED", 12)], {"CAPTURED": 12}),
        ([so_far("AUTHORIZED", 20), so_far("AUTHORIZED", 25)], {"AUTHORIZED": 25}),
        ([so_far("CAPTURED", 5), so_far("CAPTURED", 5, tender="pi_2")], {"CAPTURED": 10}),
        # A refund of 5 and one of 10, each reported by itself and as a sum; each report may be missing.
        ([single("REFUNDED", 5), so_far("REFUNDED", 5, 1), single("REFUNDED", 10, 2), so_far("REFUNDED", 15, 3)], 15),
        ([so_far("REFUNDED", 15, 3), single("REFUNDED", 10, 2)], 15),
        ([single("REFUNDED", 5), single("REFUNDED", 10, 2), so_far("REFUNDED", 5, 1)], 15),
        ([single("REFUNDED", 5), so_far("REFUNDED", 15, 3)], 15),
        # The first refund of 5 failed, and another was made: the provider's sum begins again.
        (
            [so_far("REFUNDED", 5), single("REFUND_FAILED", 5, 1), so_far("REFUNDED", 5, 2)],
            {"REFUNDED": 10, "REFUND_FAILED": 5},
        ),
        (
            [single("REFUNDED", 5), so_far("REFUNDED", 5), single("REFUND_FAILED", 5, 1), so_far("REFUNDED", 7, 2)],
            {"REFUNDED": 12, "REFUND_FAILED": 5},
        ),
        ([so_far("REFUNDED", 5), single("REFUND_FAILED", 5)], {"REFUNDED": 5, "REFUND_FAILED": 5}),
        # Failures as a sum, too, and the same one reported both ways.
        (
            [
                so_far("REFUNDED", 5),
                so_far("REFUND_FAILED", 5, 1),
                so_far("REFUNDED", 3, 2),
                so_far("REFUND_FAILED", 8, 3),
            ],
            {"REFUNDED": 8, "REFUND_FAILED": 8},
        ),
        (
            [
                so_far("REFUNDED", 5),
                single("REFUND_FAILED", 5, 1),
                so_far("REFUND_FAILED", 5, 1),
                so_far("REFUNDED", 5, 2),
            ],
            {"REFUNDED": 10, "REFUND_FAILED": 5},
        ),
    ],
)
def test_what_moved_counts_once_in_every_order_of_arrival(
    events: list[PaymentEvent], expected: dict[str, int] | int
) -> None:
    expected = expected if isinstance(expected, dict) else {"REFUNDED": expected}
    for arrival in permutations(events):
        assert sums(*arrival) == expected


@given(st.lists(st.tuples(st.integers(1, 50), st.booleans(), st.booleans()), max_size=6), st.randoms())
def test_no_report_that_is_missing_or_repeated_makes_it_more(
    movements: list[tuple[int, bool, bool]], random: Random
) -> None:
    """Each refund is reported by itself, as the sum so far, both ways or not at all."""
    reports, moved, singles, total = [], 0, 0, 0
    for second, (amount, alone, summed) in enumerate(movements):
        moved += amount
        if alone:
            reports.append(single("REFUNDED", amount, second))
            singles += amount
        if summed:
            reports += [so_far("REFUNDED", moved, second)] * 2
            total = moved
    random.shuffle(reports)
    assert sums(*reports).get("REFUNDED", 0) == max(singles, total) <= moved
