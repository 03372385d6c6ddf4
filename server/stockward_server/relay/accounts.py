"""Who may do what in NATS: an account for Stockward's own processes, and one for those that only read events.

Permissions alone do not keep a subscriber from writing. NATS checks the subject that a client publishes to, but not the
reply subject that it names: a request to JetStream with an event's subject as its reply subject puts the answer, or an
old event once more, into the stream. Answers to another account go to that account and nowhere else, so subscribers
have one of their own, which imports what reading takes. An account cannot import `$JS.API` under that name, since NATS
gives each account a `$JS.API` of its own: there it is SUBSCRIBER_API.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from stockward_server.relay.cloud_event import SUBJECTS
from stockward_server.relay.wake import WAKE_SUBJECT

USERS = ("server", "relay", "gateway", "subscriber")
"""Each process has a user of its own; subscribers share one, or get more in the account SUBSCRIBERS."""

SUBSCRIBER_API = "STOCKWARD.API"
"""Prefix of JetStream's API for subscribers."""

API, INBOX = "$JS.API", "_INBOX.>"


def accounts(stream: str, passwords: Mapping[str, str]) -> dict[str, Any]:
    """The `accounts` of a NATS server that has the stream: for its configuration, with the password of each user."""
    reading = [f"CONSUMER.CREATE.{stream}", f"CONSUMER.CREATE.{stream}.>", f"CONSUMER.INFO.{stream}.*"]
    pulling = f"CONSUMER.MSG.NEXT.{stream}.*"
    looking = [f"STREAM.INFO.{stream}", f"STREAM.MSG.GET.{stream}"]
    shared = [*looking, *reading, f"CONSUMER.DURABLE.CREATE.{stream}.*"]
    acknowledging = f"$JS.ACK.{stream}.>"

    def user(name: str, publish: list[str], subscribe: list[str]) -> dict[str, object]:
        permissions = {"publish": {"allow": publish}, "subscribe": {"allow": subscribe}}
        return {"user": name, "password": passwords[name], "permissions": permissions}

    def api(*endings: str) -> list[str]:
        return [f"{API}.{ending}" for ending in endings]

    stream_management = [f"STREAM.{action}.{stream}" for action in ("INFO", "CREATE", "UPDATE")]
    return {
        "STOCKWARD": {
            "jetstream": "enabled",
            "users": [
                user("server", [WAKE_SUBJECT], [WAKE_SUBJECT]),
                user("relay", [SUBJECTS, *api(*stream_management)], [WAKE_SUBJECT, INBOX]),
                user("gateway", api(*looking, *reading, pulling), [INBOX]),
            ],
            "exports": [
                *({"service": each, "accounts": ["SUBSCRIBERS"]} for each in (*api(*shared), acknowledging)),
                {"service": f"{API}.{pulling}", "response_type": "stream", "accounts": ["SUBSCRIBERS"]},
            ],
        },
        "SUBSCRIBERS": {
            "users": [{"user": "subscriber", "password": passwords["subscriber"]}],
            "imports": [
                *(
                    {"service": {"account": "STOCKWARD", "subject": f"{API}.{each}"}, "to": f"{SUBSCRIBER_API}.{each}"}
                    for each in (*shared, pulling)
                ),
                {"service": {"account": "STOCKWARD", "subject": acknowledging}},
            ],
        },
    }


def as_configuration(stream: str) -> str:
    """The same as a file for a NATS server that has the passwords in its environment: NATS_RELAY_PASSWORD and so on."""
    text = json.dumps(
        {"accounts": accounts(stream, {name: f"$NATS_{name.upper()}_PASSWORD" for name in USERS})}, indent=2
    )
    return re.sub(r'"(\$NATS_\w+)"', r"\1", text) + "\n"  # in quotes it would be the password itself
