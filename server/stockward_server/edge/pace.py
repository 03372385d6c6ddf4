"""Limits the rate at which the calls of one caller pass through the edge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from stockward_server.edge.parts import Limits, lua, typed
from stockward_server.edge.replies import CALLS_TOO_FAST, DOMAIN
from stockward_server.edge.stub_replies import lua_headers

SCRIPT = Path(__file__).with_name("pace.lua")


def even_pace(limits: Limits) -> list[dict[str, Any]]:
    """Returns the filters that delay calls to an even rate: the first computes the delay, the second one waits."""
    if not limits.calls_per_second:
        return []
    reason = AnyMessage()
    reason.Pack(ErrorInfo(reason=CALLS_TOO_FAST.reason, domain=DOMAIN))
    too_fast = lua_headers(Status(code=CALLS_TOO_FAST.code, message=CALLS_TOO_FAST.message, details=[reason]))
    script = f"local INTERVAL = {1000 / limits.calls_per_second}\nlocal TOO_FAST = {too_fast}\n"
    waiting = typed(
        "envoy.filters.http.fault",
        "envoy.extensions.filters.http.fault.v3.HTTPFault",
        delay={"header_delay": {}, "percentage": {"numerator": 100}},
    )
    return [lua("pace", script + SCRIPT.read_text(encoding="utf-8")), waiting]
