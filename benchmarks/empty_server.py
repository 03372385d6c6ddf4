"""A bare grpc.aio server without interceptors: the same messages, a fixed response, so a call costs only gRPC.

`python -m benchmarks.empty_server HOST:PORT FILE`; the JSON file maps the path of each method to an encoded response in
hexadecimal digits.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import uvloop
from google.protobuf.message import Message
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from benchmarks.calls import METHODS


async def main(address: str, file: str) -> None:
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    for path, answer in json.loads(Path(file).read_text()).items():
        method = METHODS[path]
        _, service, name = path.split("/")
        handler = grpc.unary_unary_rpc_method_handler(
            _answering(method.response.FromString(bytes.fromhex(answer))),
            request_deserializer=method.request.FromString,
            response_serializer=method.response.SerializeToString,
        )
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, {name: handler})])
    healthy = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
    server.add_insecure_port(address)
    await server.start()
    await healthy.set("", health_pb2.HealthCheckResponse.SERVING)
    await asyncio.Event().wait()


def _answering(answer: Message) -> Callable[[Any, Any], Awaitable[Message]]:
    async def empty(request: Message, context: Any) -> Message:
        return answer

    return empty


uvloop.run(main(*sys.argv[1:]))
