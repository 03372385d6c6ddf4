"""An event as a NATS message."""

from __future__ import annotations

import string
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockward_server.relay.cloud_event import decode_token, encode_token, headers_of, subject_of
from stockward_server.storage.events.outbox import PendingEvent


def pending(event_type: str, aggregate_id: str, time: datetime = datetime(2026, 11, 22, tzinfo=UTC)) -> PendingEvent:
    return PendingEvent(7, time, "018f9a2e-0000-7000-8000-000000000001", event_type, aggregate_id, 3, b"")


@given(st.text(min_size=1))
def test_any_id_is_one_token_and_can_be_read_back(text: str) -> None:
    token = encode_token(text)
    assert decode_token(token) == text
    assert set(token) <= set(string.ascii_letters + string.digits + "_-")


@given(st.lists(st.text(min_size=1), unique=True, max_size=5))
def test_different_ids_are_different_tokens(ids: list[str]) -> None:
    assert len({encode_token(each) for each in ids}) == len(ids)


@pytest.mark.parametrize(
    ("event_type", "aggregate_id", "subject"),
    [
        ("order.created", "018f9a2e-0000-7000", "stockward.v1.order.created.018f9a2e-0000-7000"),
        ("payment.updated", "018f9a2e-0000-7000", "stockward.v1.payment.updated.018f9a2e-0000-7000"),
        ("stock.low", "85123A@main", "stockward.v1.stock.low.85123A"),
        ("stock.low", "a@b.c_d@main", "stockward.v1.stock.low.a_40b_2Ec_5Fd"),
    ],
)
def test_subjects(event_type: str, aggregate_id: str, subject: str) -> None:
    assert subject_of(pending(event_type, aggregate_id)) == subject


@given(st.text(min_size=1))
def test_header_values_are_printable_ascii_whatever_the_id_is(aggregate_id: str) -> None:
    value = headers_of(pending("order.created", aggregate_id))["ce-partitionkey"]
    assert value.isascii()
    assert value.isprintable()
    assert not set(value) & set(' "')


def test_times_are_told_in_utc_with_their_microseconds() -> None:
    time = datetime(2026, 11, 22, 1, 0, 0, 5, tzinfo=timezone(timedelta(hours=1)))
    assert headers_of(pending("order.created", "a", time))["ce-time"] == "2026-11-22T00:00:00.000005Z"


def test_sequences_sort_as_text_as_versions_do_as_numbers() -> None:
    assert headers_of(pending("order.created", "a"))["ce-sequence"] == "00000000000000000003"
