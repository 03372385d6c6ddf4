"""SessionService on the wire: who the caller is, and sessions made with its key."""

from __future__ import annotations

from typing import Any

from stockward.auth.v1 import key_pb2, session_pb2_grpc
from stockward.auth.v1 import session_pb2 as pb

from stockward_server import __version__
from stockward_server.api.keys.messages import REVOKED, key_message
from stockward_server.api.requests import Context, request_of
from stockward_server.api.responses import response_codec
from stockward_server.application.context import CredentialKind, Role
from stockward_server.application.keys import KeyAnswer, NewSecret, NewSession
from stockward_server.application.ports.keys import Sessions
from stockward_server.auth.identity import current_call
from stockward_server.domain.errors import RoleNotAllowed
from stockward_server.wire.times import timespan, timestamp


def _created_message(answer: KeyAnswer) -> pb.CreateSessionResponse:
    """Returns the response without the secret: this is stored."""
    return pb.CreateSessionResponse(session=key_message(answer.key, answer.now))


CREATED = response_codec(pb.CreateSessionResponse, _created_message)


KINDS = {
    CredentialKind.KEY: pb.WhoAmIResponse.KIND_KEY,
    CredentialKind.SESSION: pb.WhoAmIResponse.KIND_SESSION,
    CredentialKind.TOKEN: pb.WhoAmIResponse.KIND_TOKEN,
}
"""Of the credentials that may call WhoAmI."""


class SessionServicer(session_pb2_grpc.SessionServiceServicer):
    """See session.proto; every method raises a Refusal for a documented error."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def WhoAmI(self, request: pb.WhoAmIRequest, context: Context) -> pb.WhoAmIResponse:
        caller = current_call.get().caller
        kind: Any = KINDS[caller.credential.kind]
        role: Any = int(caller.role)
        return pb.WhoAmIResponse(
            name=caller.actor,
            role=role,
            kind=kind,
            key_id=caller.credential.key_id,
            expire_time=timestamp(caller.credential.expire_time),
            customer_id=caller.customer_id,
            server_version=__version__,
        )

    async def CreateSession(self, request: pb.CreateSessionRequest, context: Context) -> pb.CreateSessionResponse:
        caller = current_call.get().caller
        role = Role(request.role) if request.role else caller.role
        if role not in caller.role.within:
            raise RoleNotAllowed(
                caller.role.name.lower(),
                f"create a session of the role {role.name.lower()}",
                allowed=[each.name.lower() for each in Role if role in each.within and each is not Role.STOREFRONT],
                field="role",
            )
        wanted, secret = NewSession(timespan(request.ttl), role, request.link), NewSecret()
        response = await self._sessions.create(request_of(context, request), caller.credential, wanted, secret, CREATED)
        response.secret = secret.of(role) if response.session.key_id == secret.key_id else ""
        return response

    async def EndSession(self, request: pb.EndSessionRequest, context: Context) -> key_pb2.Key:
        return await self._sessions.end(request_of(context, request), request.key_id.lower(), REVOKED)
