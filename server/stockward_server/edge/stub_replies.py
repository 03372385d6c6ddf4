"""Errors of the edge over gRPC and gRPC-Web: responses of headers only, as a server would send them."""

from __future__ import annotations

import base64

from google.rpc.status_pb2 import Status


def lua_headers(status: Status) -> str:
    """Returns the headers of a response with this status, as a Lua table for `handle:respond`."""
    headers = {
        ":status": "200",
        "content-type": "application/grpc",
        "grpc-status": str(status.code),
        "grpc-message": status.message,
        "grpc-status-details-bin": base64.b64encode(status.SerializeToString(deterministic=True)).decode().rstrip("="),
    }
    fields = ", ".join(f'["{name}"] = "{value}"' for name, value in headers.items())
    return f"{{ {fields} }}"
