"""Who asks for what: the envelope of every mutation."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from hashlib import blake2b

from stockward_server.domain.event import CUSTOMER, SYSTEM

RequestKey = tuple[str, str]
"""Whose request_id it is, and the request_id: what a stored answer is found by."""


class Role(IntEnum):
    """What a key is for; the numbers are those of auth.v1.Role."""

    STOREFRONT = 1
    PMS = 2
    ADMIN = 3

    @property
    def is_staff(self) -> bool:
        """Whether the caller may set prices, charges and payment terms."""
        return self is not Role.STOREFRONT

    def may_see(self, published: bool) -> bool:
        """Returns whether a product and its SKUs exist for the caller: staff see all, a storefront what is for sale.
        What it may not see is treated as if it did not exist, in every method alike."""
        return published or self.is_staff


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose key or token it is."""

    name: str
    """Of one customer it may be a mail address: it counts calls, and is written nowhere."""
    role: Role
    customer_id: str = ""
    """The one customer that the caller acts for; empty for staff, and for a shop that acts for all of them."""

    @property
    def actor(self) -> str:
        """Who stands in the ledger, the events and the log."""
        return CUSTOMER if self.customer_id else self.name

    def acts_for(self, customer_id: str) -> bool:
        """Whether what belongs to that customer may be reported to the caller; what may not is to seem missing."""
        return self.customer_id in ("", customer_id)


@dataclass(frozen=True, slots=True)
class MutationContext:
    """One mutation asked for.

    `fingerprint` is a digest of the payload: the same request_id with another one is refused. `deadline` is in seconds
    of the monotonic clock.
    """

    actor: str
    role: Role
    method: str
    request_id: str
    fingerprint: bytes
    deadline: float | None = None
    traceparent: str = ""
    """W3C Trace Context of the call; empty where there is none."""
    customer_id: str = ""
    """The one customer that the caller acts for, if any."""

    @property
    def key(self) -> RequestKey:
        """request_ids of different actors are apart, and so are those of different customers, by a digest: it stays
        with the answer when the customer is erased."""
        if not self.customer_id:
            return self.actor, self.request_id
        return f"{CUSTOMER}:{blake2b(self.customer_id.encode(), digest_size=16).hexdigest()}", self.request_id

    @property
    def share(self) -> tuple[str, str]:
        """Whose share of the committer it takes: roles have one each, and in it each caller. Customers count by
        themselves."""
        return self.role.name, self.key[0]

    def acts_for(self, customer_id: str) -> bool:
        """Whether the caller may change what belongs to that customer; what it may not is to seem missing."""
        return self.customer_id in ("", customer_id)


@dataclass(frozen=True, slots=True)
class SystemCause:
    """What time brings about: it has an actor, but no request_id and nobody to answer."""

    actor: str = SYSTEM
    request_id: str = ""
    key: None = None
    deadline: float | None = None
    traceparent: str = ""
    share: tuple[str, str] = (SYSTEM, SYSTEM)

    def acts_for(self, customer_id: str) -> bool:
        """Time passes for everybody."""
        return True
