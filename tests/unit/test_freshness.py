"""Which reads a replica may serve, and the tokens by which callers see their own changes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from math import inf

import pytest

from stockward_server.application.consistency import (
    UNKNOWN,
    CallPoints,
    CommitPoint,
    begin_call,
    note_write,
    required_point,
)
from stockward_server.storage.read.freshness import Mark, Marks, Shown, Verdict
from stockward_server.wire.consistency_token import HEADER, decode, encode, required_by

SHOWN = Shown(is_standby=True, epoch="here", position=100, first_seq=7, oldest_running=50)


def judged(shown: Shown = SHOWN, now: float = 10.0, required: CommitPoint | None = None, *marks: Mark) -> Verdict:
    """With a bound of 2 s; without other marks the primary was at 100 nine seconds after zero."""
    known = Marks()
    for mark in marks or [Mark(9.0, "here", 100)]:
        known.add(mark)
    return known.judge(shown, now, 2.0, required)


def test_a_standby_that_has_replayed_all_of_the_last_mark_is_fresh() -> None:
    assert judged() is Verdict.FRESH
    assert judged(replace(SHOWN, position=99)) is Verdict.LATE


def test_an_idle_primary_does_not_make_it_late() -> None:
    assert judged(SHOWN, 1000.0, None, Mark(1.0, "here", 100), Mark(999.0, "here", 100)) is Verdict.FRESH


def test_an_older_mark_within_the_bound_will_do() -> None:
    marks = (Mark(8.5, "here", 100), Mark(9.0, "here", 200), Mark(9.5, "here", 300))
    assert judged(SHOWN, 10.0, None, *marks) is Verdict.FRESH
    assert judged(SHOWN, 10.6, None, *marks) is Verdict.LATE


def test_where_the_primary_cannot_be_asked_no_standby_stays_fresh() -> None:
    """Its position says nothing: it may receive nothing any more."""
    assert judged(now=11.0) is Verdict.FRESH
    assert judged(now=11.1) is Verdict.LATE


@pytest.mark.parametrize("shown", [replace(SHOWN, is_standby=False), replace(SHOWN, epoch="elsewhere")])
def test_another_database_is_never_read(shown: Shown) -> None:
    assert judged(shown) is Verdict.ELSEWHERE


def test_after_a_failover_a_standby_of_the_former_primary_becomes_late() -> None:
    marks = (Mark(8.0, "former", 900), Mark(9.0, "here", 100))
    assert judged(replace(SHOWN, epoch="former", position=10**9), 10.5, None, *marks) is Verdict.LATE


@pytest.mark.parametrize(
    ("required", "verdict"),
    [
        (CommitPoint(7, 49), Verdict.FRESH),
        (CommitPoint(7, 50), Verdict.OWN_WRITE),  # it, or one of those before it, has not ended there
        (CommitPoint(6, 10**9), Verdict.FRESH),  # of an earlier epoch: what its successor kept is there
        (CommitPoint(8, 1), Verdict.OWN_WRITE),  # of a later one, which it does not know
        (UNKNOWN, Verdict.OWN_WRITE),
    ],
)
def test_a_caller_sees_its_own_write(required: CommitPoint, verdict: Verdict) -> None:
    assert judged(required=required) is verdict


def test_the_age_of_a_standby_that_nobody_can_compare_is_infinite() -> None:
    assert Marks().age(SHOWN, 1.0) == inf


def test_tokens_compare_as_text_like_their_points() -> None:
    points = [CommitPoint(0, 9), CommitPoint(0, 10), CommitPoint(0, 2**63 - 1), CommitPoint(1 << 52, 1)]
    texts = [encode(point) for point in points]
    assert texts == sorted(texts)
    assert [decode(text) for text in texts] == points


@pytest.mark.parametrize("text", ["x", "0" * 31, "0" * 33, "F" * 32, "f" * 32, "0" * 32 + "\n"])
def test_a_token_of_another_release_leads_to_the_primary(text: str) -> None:
    assert decode(text) == UNKNOWN


def test_of_several_tokens_the_largest_counts() -> None:
    one, two = CommitPoint(1, 2), CommitPoint(1, 3)
    assert required_by([(HEADER, encode(two)), ("other", "x"), (HEADER, encode(one))]) == two
    assert required_by([(HEADER, "")]) is None


def test_an_answer_has_the_later_of_what_it_was_sent_and_what_it_wrote() -> None:
    """So a caller that makes one call after another may keep the last token, whatever it is."""
    early, late = CommitPoint(1, 5), CommitPoint(1, 9)
    for required, written, reached in [
        (None, None, None),
        (late, None, None),
        (None, early, early),
        (late, early, late),
        (early, late, late),
        (UNKNOWN, early, early),
    ]:
        points = CallPoints(required)
        points.written = written
        assert points.reached == reached


async def test_the_tasks_of_a_call_note_its_writes_together() -> None:
    async def write(transaction: int) -> None:
        note_write(CommitPoint(0, transaction))
        assert required_point() == CommitPoint(0, 1)

    points = begin_call(CommitPoint(0, 1))
    await asyncio.gather(write(8), write(9), write(3))
    assert points.written == CommitPoint(0, 9)
