"""The envelope of a mutation, from its message and the call that carries it."""

from __future__ import annotations

import time
from hashlib import blake2b
from typing import Any
from uuid import uuid4

import grpc

from stockward_server.api.calls.trace import traceparent
from stockward_server.application.context import MutationContext
from stockward_server.auth.identity import current_call
from stockward_server.domain.errors import CustomerNotAllowed

Context = grpc.aio.ServicerContext[Any, Any]
"""What gRPC knows of a call."""

MAX_DEADLINE = 24 * 3600.0
"""Seconds; a deadline further away than this counts as none."""


def request_of(context: Context, message: Any, method: str | None = None) -> MutationContext:
    """Who asks for what. A message without a request_id gets one, so that a lost answer can be distinguished from a
    lost effect.

    `method` names another method when the message is a part of this one's (a row of a batch), so that a repetition is
    recognised however it is sent.
    """
    call = current_call.get()
    remaining: float | None = context.time_remaining()  # None without a deadline, whatever the stubs say
    deadline = None
    if remaining is not None and remaining < MAX_DEADLINE:
        deadline = time.monotonic() + remaining
    return MutationContext(
        actor=call.caller.actor,
        role=call.caller.role,
        method=method or call.method,
        request_id=message.request_id or str(uuid4()),
        fingerprint=blake2b(message.SerializeToString(deterministic=True), digest_size=16).digest(),
        deadline=deadline,
        traceparent=traceparent(),
        customer_id=call.caller.customer_id,
    )


def customer_of_call(named: str, field: str) -> str:
    """Whom the call is for: the customer that the caller acts for, else the one that is named in `field`.
    CustomerNotAllowed when these are two."""
    own = current_call.get().caller.customer_id
    if own and named not in ("", own):
        raise CustomerNotAllowed.for_another(field)
    return own or named
