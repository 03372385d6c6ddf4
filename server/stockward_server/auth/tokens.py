"""JSON Web Tokens as credentials: verifies signature, audience, time and role."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import jwt
from cachetools import LRUCache
from jwt import PyJWK

from stockward_server.application.context import Caller, Credential, CredentialKind, Role
from stockward_server.auth.token_keys import TokenKeys
from stockward_server.domain.errors import CredentialsInvalid

CACHED_TOKENS = 10_000
"""Maximum number of verified tokens that are cached until they expire or the issuer's keys change."""

REQUIRED = ("exp", "iss", "aud", "sub")

END_OF_TIME = 253_402_300_799
"""The last second of the year 9999, in seconds since 1970: the maximum of an expiry; a later one is reduced to it."""

MAX_SUBJECT = 200

MAX_CUSTOMER = 128
"""Maximum characters of a customer id, as in the contract."""

MALFORMED = ("TOKEN_MALFORMED", "this is not a JSON Web Token")

FAULTS: Sequence[tuple[type[Exception], str, str]] = (
    (jwt.ExpiredSignatureError, "TOKEN_EXPIRED", "the token has expired"),
    (jwt.ImmatureSignatureError, "TOKEN_NOT_YET_VALID", "the token is not valid yet"),
    (jwt.InvalidAudienceError, "TOKEN_AUDIENCE_WRONG", "the token is meant for another audience"),
    (jwt.InvalidIssuerError, "TOKEN_ISSUER_WRONG", "the token is from another issuer"),
    (jwt.InvalidAlgorithmError, "TOKEN_ALGORITHM_NOT_ALLOWED", "the token is signed by an algorithm not taken here"),
    (jwt.InvalidSignatureError, "TOKEN_SIGNATURE_INVALID", "the signature is not that of this token"),
    (jwt.InvalidKeyError, "TOKEN_KEY_UNKNOWN", "the key that signed the token cannot be used"),
    (jwt.PyJWTError, *MALFORMED),
)
"""Errors of tokens, specific before general: the cause for programs, and the text for people."""


@dataclass(frozen=True, slots=True)
class TokenRules:
    """Requirements of a token."""

    issuer: str
    audience: str
    algorithms: Sequence[str]
    role_claim: str
    """A claim, or the path to one inside others, such as `realm_access.roles`: a text, several by spaces, or a list."""
    roles: Mapping[str, Role]
    """Roles by the value of the claim."""
    leeway_seconds: float
    """Tolerated difference of the issuer's clock."""
    customer_claim: str | None = None
    """A claim, or the path to one, that names the customer of a storefront's token; when set, each such token must have
    it."""


@dataclass(frozen=True, slots=True)
class _Verified:
    caller: Caller
    ends: float
    keys: Mapping[str, PyJWK]


class Tokens:
    """Maps tokens to callers. The subject is the actor, as `jwt:<sub>`, a name that no API key can have."""

    def __init__(self, keys: TokenKeys, rules: TokenRules) -> None:
        self._keys = keys
        self._rules = rules
        self._verified: LRUCache[bytes, _Verified] = LRUCache(CACHED_TOKENS)

    async def authenticate(self, token: str) -> Caller:
        """Returns the caller. Raises CredentialsInvalid with the cause, or TokenKeysUnavailable."""
        digest = sha256(token.encode()).digest()
        known = self._verified.get(digest)
        if known is not None and known.keys is self._keys.keys and time.time() < known.ends:
            return known.caller
        claims = await self._verify(token)
        role = self._role(claims)
        expires = min(int(claims["exp"]), END_OF_TIME)
        caller = Caller(
            self._subject(claims),
            role,
            self._customer(claims) if role is Role.STOREFRONT else "",
            Credential(CredentialKind.TOKEN, expire_time=datetime.fromtimestamp(expires, UTC)),
        )
        self._verified[digest] = _Verified(caller, expires + self._rules.leeway_seconds, self._keys.keys)
        return caller

    async def _verify(self, token: str) -> dict[str, Any]:
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in self._rules.algorithms:
                raise jwt.InvalidAlgorithmError  # before the issuer is asked for a key that it cannot have
            key = await self._keys.find(header.get("kid"))
            if key is None:
                raise CredentialsInvalid.of_token("TOKEN_KEY_UNKNOWN", "the issuer has no key of this id")
            return jwt.decode(
                token,
                key,
                self._rules.algorithms,
                {"require": list(REQUIRED), "enforce_minimum_key_length": True},
                audience=self._rules.audience,
                issuer=self._rules.issuer,
                leeway=self._rules.leeway_seconds,
            )
        except jwt.MissingRequiredClaimError as error:
            raise CredentialsInvalid.of_token(
                "TOKEN_CLAIM_MISSING", f"the token has no claim {error.claim!r}", claim=error.claim
            ) from None
        except (jwt.PyJWTError, ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
            # A claim may be any JSON, and the library computes with it: 10^400 is no time, a list is no key id.
            cause, message = next(((cause, text) for kind, cause, text in FAULTS if isinstance(error, kind)), MALFORMED)
            raise CredentialsInvalid.of_token(cause, message) from None

    def _subject(self, claims: Mapping[str, Any]) -> str:
        subject = claims["sub"]
        if not (0 < len(subject) <= MAX_SUBJECT and subject.isprintable()):
            raise CredentialsInvalid.of_token(
                "TOKEN_CLAIM_MISSING", f"'sub' must be 1 to {MAX_SUBJECT} printable characters", claim="sub"
            )
        return f"jwt:{subject}"

    def _role(self, claims: Mapping[str, Any]) -> Role:
        """Returns the most powerful role of the token."""
        name = self._rules.role_claim
        value = _claim(claims, name)
        said = value.split() if isinstance(value, str) else value if isinstance(value, list) else []
        roles = [self._rules.roles[each] for each in said if isinstance(each, str) and each in self._rules.roles]
        if not roles:
            raise CredentialsInvalid.of_token(
                "TOKEN_ROLE_UNKNOWN", f"the claim {name!r} of the token has no role of ours", claim=name
            )
        return max(roles, key=lambda role: role.power)

    def _customer(self, claims: Mapping[str, Any]) -> str:
        """Returns the customer of a storefront's token; empty when the rules do not require one."""
        name = self._rules.customer_claim
        if name is None:
            return ""
        value = _claim(claims, name)
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not (isinstance(value, str) and 0 < len(value) <= MAX_CUSTOMER and value.isprintable()):
            raise CredentialsInvalid.of_token(
                "TOKEN_CLAIM_MISSING",
                f"the claim {name!r} must name a customer by 1 to {MAX_CUSTOMER} printable characters",
                claim=name,
            )
        return value


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    """Returns the claim of that name or path; None when it is missing."""
    value: Any = claims.get(name)
    if value is None:
        value = claims
        for part in name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
    return value
