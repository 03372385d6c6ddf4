"""Who calls, and whether they may: keys or tokens from `authorization: Bearer`, roles from the contract's option."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass

from google.protobuf.descriptor import ServiceDescriptor
from stockward.auth.v1 import auth_pb2

from stockward_server.application.context import Caller, Role
from stockward_server.domain.errors import CredentialsInvalid, RoleNotAllowed
from stockward_server.runtime.turns import whose

OPEN = ("/grpc.health.", "/grpc.reflection.")
"""Services that need no key: they tell nothing of the shop."""

ADMIN_ONLY = frozenset({Role.ADMIN})
"""Who may call a method that says nothing."""


@dataclass(frozen=True, slots=True)
class Call:
    """The call under way."""

    caller: Caller
    method: str


current_call: ContextVar[Call] = ContextVar("current_call")
"""Set for the time of one call; each call runs in a task of its own."""

current_metadata: ContextVar[Sequence[tuple[str, str | bytes]]] = ContextVar("current_metadata")
"""What came with the call. Its context has it, too, and builds it at each look."""


def credential() -> str:
    """The value of `authorization` that came with the call; empty where there is none."""
    return next((v for name, v in current_metadata.get() if name == "authorization" and isinstance(v, str)), "")


def signed_methods(services: Iterable[ServiceDescriptor]) -> frozenset[str]:
    """The methods that take a signature in place of a key, and check it themselves."""
    return frozenset(
        f"/{service.full_name}/{method.name}"
        for service in services
        for method in service.methods
        if method.GetOptions().Extensions[auth_pb2.credential] == auth_pb2.CREDENTIAL_SIGNATURE
    )


def roles_by_method(services: Iterable[ServiceDescriptor]) -> Mapping[str, frozenset[Role]]:
    """Who may call each method, by its full name `/package.Service/Method`. Administrators may call every one."""
    return {
        f"/{service.full_name}/{method.name}": frozenset(
            {Role.ADMIN, *map(Role, method.GetOptions().Extensions[auth_pb2.roles])}
        )
        for service in services
        for method in service.methods
    }


class Identity:
    """Lets a call through when its key is known and its role is named by the method; everything else is denied."""

    def __init__(
        self,
        authenticate: Callable[[str], Awaitable[Caller | None]],
        roles: Mapping[str, frozenset[Role]],
        signed: Collection[str],
        authenticate_token: Callable[[str], Awaitable[Caller]] | None = None,
    ) -> None:
        """`authenticate` answers who a key belongs to, or None. `signed`: methods that need no key.
        `authenticate_token` answers who a JSON Web Token speaks for, or raises; without it, tokens are not taken."""
        self._authenticate = authenticate
        self._authenticate_token = authenticate_token
        self._roles = roles
        self._signed = signed

    async def admit(self, method_name: str) -> Caller | None:
        """Sets `current_call` and answers its caller, or raises CredentialsInvalid or RoleNotAllowed. A method that
        takes a signature sets it itself, once it has checked that; for these, and for open ones, the answer is None."""
        if method_name.startswith(OPEN) or method_name in self._signed:
            return None
        caller = await self.identify(credential(), method_name)
        current_call.set(Call(caller, method_name))
        whose.set(caller.name)
        return caller

    async def identify(self, credential: str, method_name: str) -> Caller:
        """Whose credential it is, or CredentialsInvalid; RoleNotAllowed where the method is not for them."""
        caller = await self._owner(credential)
        allowed = self._roles.get(method_name, ADMIN_ONLY)
        if caller.role not in allowed:
            raise RoleNotAllowed(
                caller.role.name.lower(),
                f"call {method_name}",
                allowed=[role.name.lower() for role in sorted(allowed)],
            )
        return caller

    async def _owner(self, credential: str) -> Caller:
        if not credential:
            raise CredentialsInvalid.missing()
        scheme, _, key = credential.partition(" ")
        if self._authenticate_token is not None and "." in key and scheme.lower() == "bearer":
            return await self._authenticate_token(key.strip())  # a key has no dots
        caller = await self._authenticate(key.strip()) if scheme.lower() == "bearer" else None
        if caller is None:
            raise CredentialsInvalid.unknown_key()
        return caller
