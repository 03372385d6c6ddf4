"""Accounts and permissions in NATS: one account for Stockward's processes, one for subscribers, which only read events.

Permissions alone do not keep a subscriber from writing. NATS checks the subject that a client publishes to, but not the
reply subject that it names: a request to JetStream with an event's subject as its reply subject would put the response,
or an old event once more, into the stream. Responses to another account stay in that account, so subscribers have a
separate one, which imports the subjects needed for reading. An account cannot import `$JS.API` under that name, since
NATS gives each account its own `$JS.API`: subscribers use SUBSCRIBER_API.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from stockward_server.relay.cloud_event import SUBJECTS
from stockward_server.relay.wake import WAKE_SUBJECT

USERS = ("server", "relay", "gateway", "subscriber")
"""Users: one for each process and one for all subscribers; more can be added to the account SUBSCRIBERS."""

SUBSCRIBER_API = "STOCKWARD.API"
"""Prefix of JetStream's API for subscribers."""

API, INBOX = "$JS.API", "_INBOX.>"


def accounts(stream: str, passwords: Mapping[str, str]) -> dict[str, Any]:
    """Returns the section `accounts` of the configuration of a NATS server; `passwords` has one for each of USERS."""
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
    """Returns the accounts as a configuration file that reads the passwords from the environment of the NATS server:
    NATS_RELAY_PASSWORD and so on."""
    text = json.dumps(
        {"accounts": accounts(stream, {name: f"$NATS_{name.upper()}_PASSWORD" for name in USERS})}, indent=2
    )
    return re.sub(r'"(\$NATS_\w+)"', r"\1", text) + "\n"  # a variable must not be quoted
