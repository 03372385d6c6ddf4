"""What the edge answers to stubs by itself, over gRPC and gRPC-Web: headers alone, as a server would send them."""

from __future__ import annotations

import base64

from google.rpc.status_pb2 import Status


def lua_headers(status: Status) -> str:
    """Returns the headers of a call that ends so, as a table of Lua for `handle:respond`."""
    headers = {
        ":status": "200",
        "content-type": "application/grpc",
        "grpc-status": str(status.code),
        "grpc-message": status.message,
        "grpc-status-details-bin": base64.b64encode(status.SerializeToString(deterministic=True)).decode().rstrip("="),
    }
    fields = ", ".join(f'["{name}"] = "{value}"' for name, value in headers.items())
    return f"{{ {fields} }}"
