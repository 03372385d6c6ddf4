"""Identifies the caller by the key or token in `authorization: Bearer`, and checks its role against the contract's
option."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass

from google.protobuf.descriptor import ServiceDescriptor
from stockward.auth.v1 import auth_pb2

from stockward_server.application.context import Caller, CredentialKind, Role
from stockward_server.domain.errors import CredentialsInvalid, RoleNotAllowed
from stockward_server.runtime.turns import whose

OPEN = ("/grpc.health.", "/grpc.reflection.")
"""Services that need no key, as they reveal nothing about the shop."""

CREATE_SESSION = "/stockward.auth.v1.SessionService/CreateSession"
"""The only method that accepts the secret of a link."""

ADMIN_ONLY = frozenset({Role.ADMIN})
"""Roles of a method without the option."""


@dataclass(frozen=True, slots=True)
class Call:
    """The current call."""

    caller: Caller
    method: str


current_call: ContextVar[Call] = ContextVar("current_call")
"""The current call; each call runs in its own task."""

current_metadata: ContextVar[Sequence[tuple[str, str | bytes]]] = ContextVar("current_metadata")
"""Metadata of the call. The gRPC context has it, too, but builds it at each access."""


def credential() -> str:
    """Returns the value of `authorization` of the call; empty when there is none."""
    return next((v for name, v in current_metadata.get() if name == "authorization" and isinstance(v, str)), "")


def signed_methods(services: Iterable[ServiceDescriptor]) -> frozenset[str]:
    """Returns the methods that verify a signature themselves instead of a key."""
    return frozenset(
        f"/{service.full_name}/{method.name}"
        for service in services
        for method in service.methods
        if method.GetOptions().Extensions[auth_pb2.credential] == auth_pb2.CREDENTIAL_SIGNATURE
    )


def roles_by_method(services: Iterable[ServiceDescriptor]) -> Mapping[str, frozenset[Role]]:
    """Returns the roles that may call each method, by its full name `/package.Service/Method`. Administrators may call
    all."""
    return {
        f"/{service.full_name}/{method.name}": frozenset(
            {Role.ADMIN, *map(Role, method.GetOptions().Extensions[auth_pb2.roles])}
        )
        for service in services
        for method in service.methods
    }


class Identity:
    """Admits a call when its key is known and the method permits its role; denies all others."""

    def __init__(
        self,
        authenticate: Callable[[str], Awaitable[Caller | None]],
        roles: Mapping[str, frozenset[Role]],
        signed: Collection[str],
        authenticate_token: Callable[[str], Awaitable[Caller]] | None = None,
    ) -> None:
        """`authenticate` returns the caller of a key, or None. `signed`: methods that need no key. `authenticate_token`
        returns the caller of a JSON Web Token, or raises; without it tokens are not accepted."""
        self._authenticate = authenticate
        self._authenticate_token = authenticate_token
        self._roles = roles
        self._signed = signed

    async def admit(self, method_name: str) -> Caller | None:
        """Sets `current_call` and returns its caller. Raises CredentialsInvalid or RoleNotAllowed. Returns None for
        open methods, and for signed ones, which set the caller after verifying the signature."""
        if method_name.startswith(OPEN) or method_name in self._signed:
            return None
        caller = await self.identify(credential(), method_name)
        current_call.set(Call(caller, method_name))
        whose.set(caller.name)
        return caller

    async def identify(self, credential: str, method_name: str) -> Caller:
        """Returns the caller of a credential. Raises CredentialsInvalid, or RoleNotAllowed where the method does not
        permit it."""
        caller = await self._owner(credential)
        if caller.credential.kind is CredentialKind.LINK and method_name != CREATE_SESSION:
            raise CredentialsInvalid.link()
        allowed = self._roles.get(method_name, ADMIN_ONLY)
        if caller.role not in allowed:
            raise RoleNotAllowed(
                caller.role.name.lower(),
                f"call {method_name}",
                allowed=[role.name.lower() for role in sorted(allowed, key=lambda role: role.power)],
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
