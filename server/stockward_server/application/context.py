"""The callers of requests and the context of every mutation."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from hashlib import blake2b

from stockward_server.domain.event import CUSTOMER, SYSTEM

RequestKey = tuple[str, str]
"""The owner of a request_id, and the request_id: the key of a stored response."""


class Role(IntEnum):
    """The role of a key; the numbers are those of auth.v1.Role."""

    STOREFRONT = 1
    PMS = 2
    ADMIN = 3
    VIEWER = 4

    @property
    def is_staff(self) -> bool:
        """Whether the caller sees everything, and may set what storefronts may not; a viewer sets nothing."""
        return self is not Role.STOREFRONT

    @property
    def power(self) -> int:
        """A rank: of several roles that a token names, the highest counts."""
        return POWER.index(self)

    @property
    def within(self) -> frozenset[Role]:
        """The roles that may do no more than this one."""
        return frozenset({self}) if self is Role.STOREFRONT else frozenset(POWER[1 : self.power + 1])

    def may_see(self, published: bool) -> bool:
        """Returns whether a product and its SKUs exist for the caller: staff see all, a storefront only published ones.
        Every method treats an invisible product as missing."""
        return published or self.is_staff


POWER = (Role.STOREFRONT, Role.VIEWER, Role.PMS, Role.ADMIN)
"""The roles, from the weakest."""


class CredentialKind(StrEnum):
    """The kind of a credential."""

    KEY = "key"
    SESSION = "session"
    TOKEN = "token"
    LINK = "link"
    """The one-time secret of a link, which is good for CreateSession only."""


@dataclass(frozen=True, slots=True)
class Credential:
    """What a caller presents."""

    kind: CredentialKind
    key_id: str = ""
    """Id of the key, session or link; empty for a token."""
    expire_time: datetime | None = None


UNKNOWN_KEY = Credential(CredentialKind.KEY)
"""The credential of callers that present none, such as signed webhooks."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The owner of a key or token."""

    name: str
    """For one customer it may be an e-mail address: it is used to count calls and never stored."""
    role: Role
    customer_id: str = ""
    """The only customer that the caller acts for; empty for staff, and for a shop that acts for all customers."""
    credential: Credential = field(default=UNKNOWN_KEY, compare=False)
    """Not compared: a stream goes on when its key is rotated."""

    @property
    def actor(self) -> str:
        """The name recorded in the ledger, the events and the log."""
        return CUSTOMER if self.customer_id else self.name

    def acts_for(self, customer_id: str) -> bool:
        """Returns whether the caller may see data of that customer; other data is treated as missing."""
        return self.customer_id in ("", customer_id)


@dataclass(frozen=True, slots=True)
class MutationContext:
    """The context of one requested mutation.

    `fingerprint` is a digest of the payload: a request_id that is reused with another payload is refused. `deadline` is
    in seconds of the monotonic clock.
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
    """The only customer that the caller acts for, if any."""

    @property
    def key(self) -> RequestKey:
        """The key of the stored response. It separates the request_ids of actors, and those of customers by a digest,
        which stays with the response when the customer is erased."""
        if not self.customer_id:
            return self.actor, self.request_id
        return f"{CUSTOMER}:{blake2b(self.customer_id.encode(), digest_size=16).hexdigest()}", self.request_id

    @property
    def share(self) -> tuple[str, str]:
        """The owner of the share of the committer's queue: each role has one, divided among its callers. Customers
        count separately."""
        return self.role.name, self.key[0]

    def acts_for(self, customer_id: str) -> bool:
        """Returns whether the caller may change data of that customer; other data is treated as missing."""
        return self.customer_id in ("", customer_id)


@dataclass(frozen=True, slots=True)
class SystemCause:
    """The cause of changes by the system: it has an actor, but no request_id and no caller."""

    actor: str = SYSTEM
    request_id: str = ""
    key: None = None
    deadline: float | None = None
    traceparent: str = ""
    share: tuple[str, str] = (SYSTEM, SYSTEM)

    def acts_for(self, customer_id: str) -> bool:
        """Returns True: the system acts for all customers."""
        return True
