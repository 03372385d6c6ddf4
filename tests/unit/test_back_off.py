"""Pauses between attempts."""

from __future__ import annotations

from stockward_server.runtime.back_off import BackOff


def test_pauses_double_up_to_the_longest() -> None:
    back_off = BackOff(0.5, 3.0)
    assert not back_off.begun
    assert [back_off.next() for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    assert back_off.begun


def test_after_steady_work_or_a_reset_the_first_pause_comes_again() -> None:
    back_off = BackOff(0.5, 8.0, steady=10.0)
    assert [back_off.next(worked=10.0), back_off.next(worked=10.0), back_off.next(worked=10.1)] == [0.5, 1.0, 0.5]
    back_off.next()
    back_off.reset()
    assert (back_off.begun, back_off.next()) == (False, 0.5)


def test_jitter_makes_a_pause_longer_only_and_differs() -> None:
    pauses = [BackOff(10.0, jitter=0.2).next() for _ in range(100)]
    assert all(10.0 <= pause <= 12.0 for pause in pauses)
    assert len(set(pauses)) > 50
    back_off = BackOff(10.0, 25.0, jitter=0.2)
    back_off.next()
    assert 20.0 <= back_off.next() <= 24.0, "jitter is not doubled with the pause"
