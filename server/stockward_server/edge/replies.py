"""Errors of the edge: google.rpc.Status as JSON, like the server's errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

DOMAIN = "stockward.edge"
"""`domain` of the ErrorInfo in errors of the edge."""

SAID = "%LOCAL_REPLY_BODY%"
"""Placeholder for Envoy's own message."""


@dataclass(frozen=True)
class Reply:
    """An error of the edge."""

    http: int
    code: int
    """Number of the google.rpc.Code."""
    reason: str
    message: str
    meaning: str
    """Explanation in the documentation."""


REPLIES = [
    Reply(
        401,
        16,
        "CREDENTIALS_INVALID",
        "the key is missing, malformed, unknown, expired or revoked",
        "The server does not know who sends the large body, of which nothing is read then.",
    ),
    Reply(404, 5, "ROUTE_UNKNOWN", "there is nothing at this path", "No method has this path."),
    Reply(405, 12, "METHOD_NOT_ALLOWED", SAID, "The path takes other HTTP methods: see the header `allow`."),
    Reply(408, 4, "REQUEST_TIMEOUT", "the request did not arrive in time", "The request was sent too slowly."),
    Reply(
        413,
        8,
        "BODY_TOO_LARGE",
        "the body is larger than this path takes: at most 4 MiB, and 50,000 values, lists and objects in it",
        "The body has more bytes than a message of this path can have, or more values, lists and objects than the edge "
        "takes: send it in parts.",
    ),
    Reply(
        429,
        8,
        "TOO_MANY_REQUESTS",
        "too many requests without a key come from this address",
        "One address may send only so many a second without `authorization`, or with keys that are not known to be "
        "good while many are refused. Come back after `retry-after` seconds.",
    ),
    Reply(
        431,
        8,
        "HEADERS_TOO_LARGE",
        "the headers are larger than is allowed",
        "Address and headers are too large together.",
    ),
    Reply(
        503,
        14,
        "SERVER_UNAVAILABLE",
        "no server can be reached at the moment",
        "No server answers. Send it again, a mutation with the same requestId.",
    ),
    Reply(
        504,
        4,
        "SERVER_TIMEOUT",
        "the server did not answer in time",
        "The server took too long; whether it took effect is not known. Send it again with the same requestId.",
    ),
    Reply(500, 13, "EDGE_FAILED", "the edge could not handle the answer", "A defect, or a server that broke off."),
    Reply(
        400, 3, "REQUEST_MALFORMED", SAID, "The body is no JSON of the message, or a parameter is none of the method's."
    ),
]
"""One error for each status; 500 also for all higher statuses, and 400 for all others."""

UNKNOWN_FIELD = Reply(
    400, 3, "FIELD_UNKNOWN", "there is no such field", "The body has a field that the message has not."
)

BODY_BUDGET_SPENT = Reply(
    429,
    8,
    "BODY_BUDGET_SPENT",
    "the large bodies of this caller take too much of the edge: send them one at a time, and less often",
    "The bodies that were sent with this credential have used up its time at the edge. Come back after `retry-after` "
    "seconds.",
)

CALLS_TOO_FAST = Reply(
    429,
    8,
    "CALLS_TOO_FAST",
    "this caller has thousands of calls waiting at the edge: make fewer at the same time",
    "The calls of one caller go through the edge at an even pace, and it would be more than two seconds until the turn "
    "of this one. Over gRPC the code is RESOURCE_EXHAUSTED.",
)

MARKED_REPLIES = [UNKNOWN_FIELD, BODY_BUDGET_SPENT, CALLS_TOO_FAST]
"""Errors that a script marks in the metadata, in addition to the status."""


def local_replies() -> dict[str, Any]:
    """Returns Envoy's `local_reply_config`."""
    field = "%DYNAMIC_METADATA(stockward.edge:field)%"
    unknown = _status(UNKNOWN_FIELD, f"{field}: {UNKNOWN_FIELD.message}", {"field": field})
    unknown["details"].append(
        {
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{"field": field, "description": UNKNOWN_FIELD.message}],
        }
    )
    limits = (BODY_BUDGET_SPENT, CALLS_TOO_FAST)
    marked = {each: _marked("reason", {"string_match": {"exact": each.reason}}) for each in limits}
    return {
        "mappers": [
            {"filter": _marked("field", {"present_match": True}), "body_format_override": {"json_format": unknown}},
            *(
                {"filter": filtered, "body_format_override": {"json_format": _status(each)}}
                for each, filtered in marked.items()
            ),
            *({"filter": _has(each.http), "body_format_override": {"json_format": _status(each)}} for each in REPLIES),
        ]
    }


def _marked(key: str, value: dict[str, Any]) -> dict[str, Any]:
    """Returns Envoy's filter of responses that a script has marked."""
    matcher = {"filter": DOMAIN, "path": [{"key": key}], "value": value}
    return {"metadata_filter": {"matcher": matcher, "match_if_key_not_found": False}}


def _status(reply: Reply, message: str = "", metadata: dict[str, str] | None = None) -> dict[str, Any]:
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reply.reason, "domain": DOMAIN}
    return {
        "code": reply.code,
        "message": message or reply.message,
        "details": [info | ({"metadata": metadata} if metadata else {})],
    }


def _has(status: int) -> dict[str, Any]:
    """Returns Envoy's filter of responses with this status; for 400 and 500, with this or a higher one."""
    value = {"default_value": status, "runtime_key": f"edge.status_{status}"}
    return {"status_code_filter": {"comparison": {"op": "GE" if status in (400, 500) else "EQ", "value": value}}}
