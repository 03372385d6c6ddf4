"""What the gateway decides by itself: when to try again, where to send, and what a body says."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook
from stockward.event.v1.event_pb2 import Event

from stockward_server.gateway.egress import LOOPBACK, Egress, EgressRefused
from stockward_server.gateway.json_text import json_text
from stockward_server.gateway.message import body_of, headers_of, thin_body_of
from stockward_server.gateway.retry import FEW_ATTEMPTS, JITTER, RETRY_DELAYS, parse_retry_after, retry_delay
from tests.receiver import SECRET

ENVELOPE = ("event_id", "type", "aggregate_type", "aggregate_id", "aggregate_version", "time", "actor", "request_id")


def test_the_schedule_is_the_documented_one_and_ends() -> None:
    hours = [delay / timedelta(hours=1) for delay in RETRY_DELAYS]
    assert hours == [5 / 3600, 5 / 60, 0.5, 2, 5, 10, 14, 20, 24]
    assert retry_delay(len(RETRY_DELAYS), RETRY_DELAYS) is not None
    assert retry_delay(len(RETRY_DELAYS) + 1, RETRY_DELAYS) is None


def test_pauses_are_spread() -> None:
    pauses = {retry_delay(2, RETRY_DELAYS) for _ in range(50)}
    assert len(pauses) > 40
    assert all(pause and timedelta(minutes=5) <= pause <= timedelta(minutes=5) * (1 + JITTER) for pause in pauses)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.9.1", "0.0.0.0", "0.1.2.3", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254"),
        *("100.64.0.1", "100.100.100.200", "192.0.0.192", "192.0.2.1", "198.18.0.1", "203.0.113.9", "224.0.0.1"),
        *("239.255.255.250", "240.0.0.1", "255.255.255.255", "168.63.129.16", "192.88.99.1"),
        *("::1", "::", "fc00::1", "fd00:ec2::254", "fe80::1%eth0", "fec0::1", "ff02::1", "100::1", "2001:db8::1"),
        *("::ffff:127.0.0.1", "::ffff:a9fe:a9fe", "::127.0.0.1", "::8.8.8.8", "64:ff9b::7f00:1", "64:ff9b::a00:1"),
        *("64:ff9b:1::1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2001:0:808:808:0:0:80ff:fffe", "3fff::1", "4000::1"),
    ],
)
def test_what_is_not_the_public_internet_is_refused(address: str) -> None:
    with pytest.raises(EgressRefused, match="not an address of the public Internet"):
        Egress().refuse_address(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]
)
def test_public_addresses_are_not(address: str) -> None:
    Egress().refuse_address(address)


def test_networks_can_be_allowed() -> None:
    egress = Egress.of([*LOOPBACK, "10.1.0.0/16", "fd12::/16"], require_https=True)
    for address in ("127.0.0.1", "::ffff:127.0.0.1", "::1", "10.1.2.3", "64:ff9b::a01:203", "fd12::1"):
        egress.refuse_address(address)
    for address in ("10.2.0.1", "fd13::1", "169.254.169.254"):
        with pytest.raises(EgressRefused):
            egress.refuse_address(address)


def test_https_is_required_unless_told_otherwise() -> None:
    for url in ("http://shop.example/", "HTTP://shop.example/", "ftp://shop.example/"):
        with pytest.raises(EgressRefused, match="over https only"):
            Egress().refuse_url(url)
        Egress(require_https=False).refuse_url(url)
    Egress().refuse_url("HTTPS://shop.example/")


def test_a_body_is_the_same_every_time_and_tells_zeros() -> None:
    event = Event(event_id="e", type="stock.depleted", aggregate_id="a@main", aggregate_version=4)
    event.stock.sku = "größe"
    body = body_of(event.SerializeToString())
    assert body == body_of(event.SerializeToString())
    told = json.loads(body)
    assert (told["type"], told["data"]["aggregateVersion"]) == ("stock.depleted", "4")
    assert told["data"]["stock"]["available"] == "0"
    assert "größe".encode() in body


def test_every_secret_signs_and_none_is_an_error() -> None:
    secrets = ["whsec_" + "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz", "whsec_" + "bmV3IHNlY3JldCBvZiAyNCBieXRlcyE="]
    headers = dict(headers_of("e", b"{}", secrets, datetime.now(UTC)))
    for secret in secrets:
        Webhook(secret).verify("{}", headers)
    with pytest.raises(ValueError, match="nothing to sign with"):
        headers_of("e", b"{}", [], datetime.now(UTC))


def test_an_ed25519_key_signs_beside_the_others_and_only_its_public_half_verifies() -> None:
    key = Ed25519PrivateKey.generate()
    both = key.private_bytes_raw() + key.public_key().public_bytes_raw()
    now = datetime.now(UTC)
    for private in (both, key.private_bytes_raw()):
        headers = headers_of("e", b"{}", [f"whsk_{b64encode(private).decode()}", SECRET], now)
        first, second = headers["webhook-signature"].split()
        assert first.startswith("v1a,")
        assert second.startswith("v1,")
        signed = f"e.{int(now.timestamp())}.{{}}".encode()
        key.public_key().verify(b64decode(first.removeprefix("v1a,")), signed)
        with pytest.raises(InvalidSignature):
            key.public_key().verify(b64decode(first.removeprefix("v1a,")), signed + b" ")
        Webhook(SECRET).verify("{}", dict(headers))


def test_a_secret_of_another_kind_is_an_error() -> None:
    with pytest.raises(ValueError, match="neither with whsec_ nor with whsk_"):
        headers_of("e", b"{}", ["whpk_" + "QUJD" * 11], datetime.now(UTC))


def test_headers_of_the_endpoint_go_along_and_replace_none_of_ours() -> None:
    custom = {"authorization": "Bearer x", "user-agent": "Shop/1", "webhook-id": "other", "content-type": "text/plain"}
    headers = headers_of("e", b"{}", [SECRET], datetime.now(UTC), custom)
    assert (headers["authorization"], headers["user-agent"], headers["webhook-id"]) == ("Bearer x", "Shop/1", "e")
    assert headers["content-type"].startswith("application/json")


def test_a_thin_body_tells_which_event_it_is_and_where_to_read_it() -> None:
    event = Event(event_id="e", type="stock.low", aggregate_type="stock", aggregate_version=4)
    event.aggregate_id = "a b&c@main"
    event.time.FromJsonString("2026-11-22T10:00:00.5Z")
    body = json.loads(thin_body_of(event.SerializeToString(), "https://api.shop.example/"))
    link = "https://api.shop.example/api/storefront/events?aggregate_id=a+b%26c%40main&types=stock.low"
    assert body == {
        "type": "stock.low",
        "timestamp": "2026-11-22T10:00:00.500Z",
        "data": {
            "eventId": "e",
            "type": "stock.low",
            "aggregateType": "stock",
            "aggregateId": "a b&c@main",
            "aggregateVersion": "4",
            "time": "2026-11-22T10:00:00.500Z",
            "truncated": True,
            "link": link,
        },
    }
    assert json.loads(thin_body_of(event.SerializeToString(), ""))["data"]["link"].startswith("/api/storefront/events?")


# The same JSON as json_format's


def messages(message_type: Descriptor | None) -> st.SearchStrategy[dict[str, Any]]:
    """Fields of a message of this type, each set or not."""
    assert message_type
    return st.fixed_dictionaries({}, optional={field.name: values(field) for field in message_type.fields})


def values(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    one: st.SearchStrategy[Any]
    if field.message_type and field.message_type.full_name == "google.protobuf.Timestamp":
        moments = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))
        one = moments.map(lambda moment: Timestamp(seconds=int(moment.timestamp()), nanos=moment.microsecond * 1000))
    elif field.message_type:
        one = messages(field.message_type)
    elif field.enum_type:
        one = st.sampled_from([*(value.number for value in field.enum_type.values), 4711])
    else:
        one = {
            FieldDescriptor.TYPE_STRING: st.text(max_size=8),
            FieldDescriptor.TYPE_BOOL: st.booleans(),
            FieldDescriptor.TYPE_INT32: st.integers(-(2**31), 2**31 - 1),
            FieldDescriptor.TYPE_INT64: st.integers(-(2**63), 2**63 - 1),
        }[field.type]
    return st.lists(one, max_size=2) if field.is_repeated else one


@pytest.mark.parametrize("data", [field.name for field in Event.DESCRIPTOR.oneofs_by_name["data"].fields])
def test_json_is_that_of_json_format(data: str) -> None:
    envelope = messages(Event.DESCRIPTOR).map(lambda fields: {k: v for k, v in fields.items() if k in ENVELOPE})
    content = messages(Event.DESCRIPTOR.fields_by_name[data].message_type)

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(envelope, content)
    def compare(fields: dict[str, Any], told: dict[str, Any]) -> None:
        content_of: Any = fields | {data: told}
        event = Event(**content_of)
        expected = MessageToDict(event, always_print_fields_with_no_presence=True)
        assert json.loads(json_text(event)) == expected

    compare()


def test_json_has_fields_in_the_order_of_the_contract() -> None:
    event = Event(event_id="e", actor="a")
    event.order.order_id = "o"
    assert list(json.loads(json_text(event))) == [
        *("eventId", "type", "aggregateType", "aggregateId", "aggregateVersion", "actor", "requestId", "order")
    ]


# What a failure leads to


@pytest.mark.parametrize("status", [None, 408, 425, 429, 500, 502, 503, 504, 599])
def test_what_may_pass_takes_the_whole_schedule(status: int | None) -> None:
    assert retry_delay(len(RETRY_DELAYS), RETRY_DELAYS, status) is not None
    assert retry_delay(len(RETRY_DELAYS) + 1, RETRY_DELAYS, status) is None


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 403, 404, 422])
def test_what_will_not_pass_is_given_up_after_few_attempts(status: int) -> None:
    assert retry_delay(FEW_ATTEMPTS - 1, RETRY_DELAYS, status) is not None
    assert retry_delay(FEW_ATTEMPTS, RETRY_DELAYS, status) is None


def test_retry_after_makes_a_pause_longer_and_never_shorter() -> None:
    assert retry_delay(1, RETRY_DELAYS, 429, timedelta(minutes=10)) == timedelta(minutes=10)
    shorter = retry_delay(2, RETRY_DELAYS, 429, timedelta(seconds=1))
    assert shorter
    assert shorter >= timedelta(minutes=5)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("Sun, 22 Nov 2026 10:01:00 GMT", 60),
        ("Sunday, 22-Nov-26 10:01:00 GMT", 60),
        ("Sun, 22 Nov 2026 11:01:00 +0100", 60),
        ("99999999999999999999", 86_400),
        ("Mon, 22 Nov 2027 10:00:00 GMT", 86_400),
        ("0", None),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("\N{ARABIC-INDIC DIGIT FIVE}", None),
        ("Sun, 22 Nov 2026 09:59:00 GMT", None),
        ("Sun, 99 Nov 2026 09:59:00 GMT", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_read_in_both_its_forms(value: str | None, seconds: int | None) -> None:
    now = datetime(2026, 11, 22, 10, tzinfo=UTC)
    assert parse_retry_after(value, now) == (timedelta(seconds=seconds) if seconds else None)
