"""What the gateway decides by itself: when to try again, where to send, and what a body says."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook
from stockward.event.v1.event_pb2 import Event

from stockward_server.gateway.egress import EgressRefused, refuse_address
from stockward_server.gateway.message import body_of, headers_of
from stockward_server.gateway.retry import JITTER, RETRY_DELAYS, retry_delay


def test_the_schedule_is_the_documented_one_and_ends() -> None:
    hours = [delay / timedelta(hours=1) for delay in RETRY_DELAYS]
    assert hours == [5 / 3600, 5 / 60, 0.5, 2, 5, 10, 14, 20, 24]
    assert retry_delay(len(RETRY_DELAYS), RETRY_DELAYS) is not None
    assert retry_delay(len(RETRY_DELAYS) + 1, RETRY_DELAYS) is None


def test_pauses_are_spread() -> None:
    pauses = {retry_delay(2, RETRY_DELAYS) for _ in range(50)}
    assert len(pauses) > 40
    assert all(pause and timedelta(minutes=5) <= pause <= timedelta(minutes=5) * (1 + JITTER) for pause in pauses)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::"])
def test_this_machine_is_refused_unless_it_is_allowed(address: str) -> None:
    refuse_address(address, allow_loopback=True)
    with pytest.raises(EgressRefused, match="this machine itself"):
        refuse_address(address, allow_loopback=False)


@pytest.mark.parametrize("address", ["203.0.113.9", "2001:db8::1", "fe80::1%eth0"])
def test_other_addresses_are_not(address: str) -> None:
    refuse_address(address, allow_loopback=False)


def test_a_body_is_the_same_every_time_and_tells_zeros() -> None:
    event = Event(event_id="e", type="stock.depleted", aggregate_id="a@main", aggregate_version=4)
    event.stock.sku = "größe"
    body = body_of(event.SerializeToString())
    assert body == body_of(event.SerializeToString())
    told = json.loads(body)
    assert (told["type"], told["data"]["aggregateVersion"]) == ("stock.depleted", "4")
    assert told["data"]["stock"]["available"] == "0"
    assert "größe" in body


def test_every_secret_signs_and_none_is_an_error() -> None:
    secrets = ["whsec_" + "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz", "whsec_" + "bmV3IHNlY3JldCBvZiAyNCBieXRlcyE="]
    headers = dict(headers_of("e", "{}", secrets, datetime.now(UTC)))
    for secret in secrets:
        Webhook(secret).verify("{}", headers)
    with pytest.raises(ValueError, match="nothing to sign with"):
        headers_of("e", "{}", [], datetime.now(UTC))
