"""The methods of all services, by name, each with what every call goes through already around it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import grpc
from grpc_interceptor.server import AsyncServerInterceptor

from stockward_server.auth.identity import current_metadata


class _Called(NamedTuple):
    """What an interceptor asks of a call."""

    method: str


class Methods(grpc.GenericRpcHandler):
    """Generated code adds services to it as it would to a server; then it is the one handler of the real one.

    The real one would be dearer in two ways. It waits for the next call of each registered method by itself, so that
    every call looks at one future a method of the contract. And it puts the interceptors around a method for each
    call.
    """

    def __init__(self) -> None:
        self._handlers: dict[str, Any] = {}

    def add_generic_rpc_handlers(self, handlers: Any) -> None:
        """The same methods come by `add_registered_method_handlers`, with their names."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """The methods of one service, by their short names."""
        self._handlers.update({f"/{service}/{name}": handler for name, handler in handlers.items()})

    async def intercept(self, interceptor: AsyncServerInterceptor) -> None:
        """Puts `interceptor` around every method that was added."""
        for name, handler in self._handlers.items():

            async def itself(_: object, handler: Any = handler) -> Any:
                return handler

            self._handlers[name] = await interceptor.intercept_service(itself, _Called(name))  # type: ignore[no-untyped-call]

    def service(self, handler_call_details: Any) -> Any:
        """Returns the handler of the called method, None for an unknown one. Runs in the task of the call."""
        current_metadata.set(handler_call_details.invocation_metadata)
        return self._handlers.get(handler_call_details.method)
