"""JSON Web Tokens in place of keys: real keys, a real issuer, and all that can be wrong with a token."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from google.protobuf.message import Message
from jwt.algorithms import ECAlgorithm
from jwt.warnings import InsecureKeyLengthWarning
from stockward.inventory.v1 import inventory_pb2 as inventory

from stockward_server.application.context import Caller, Role
from stockward_server.auth.token_keys import TokenKeys, from_file, from_url
from stockward_server.auth.tokens import TokenRules, Tokens
from stockward_server.config import Settings
from stockward_server.domain.errors import CredentialsInvalid, TokenKeysUnavailable
from stockward_server.wire.status import status_of
from tests.events import until
from tests.issuer import AUDIENCE, ISSUER, Issuer, new_key
from tests.shop import Refused, Shop, callers, refused, running_shop

ALGORITHMS = ("RS256", "ES256", "EdDSA")

ADA = Caller("jwt:ada", Role.PMS)


@pytest.fixture(scope="module")
def signer() -> Issuer:
    """Making RSA keys takes a while: one for all tests that change nothing of it."""
    issuer = Issuer()
    for algorithm in ALGORITHMS:
        issuer.add(algorithm, algorithm)
    return issuer


@pytest.fixture
async def issuer(signer: Issuer) -> AsyncIterator[Issuer]:
    """The same keys, and those that a test adds."""
    fresh = Issuer()
    fresh.private.update(signer.private)
    async with fresh.serving():
        yield fresh


def rules(**fields: Any) -> TokenRules:
    roles = {role.name.lower(): role for role in Role} | {"editor": Role.PMS}
    return TokenRules(
        **{
            "issuer": ISSUER,
            "audience": AUDIENCE,
            "algorithms": ALGORITHMS,
            "role_claim": "role",
            "roles": roles,
            "leeway_seconds": 5.0,
            **fields,
        }
    )


def tokens_of(issuer: Issuer, refetch_seconds: float = 60.0, **fields: Any) -> Tokens:
    return Tokens(TokenKeys(from_url(issuer.url), ALGORITHMS, refetch_seconds), rules(**fields))


async def cause(tokens: Tokens, token: str) -> str:
    with pytest.raises(CredentialsInvalid) as refusal:
        await tokens.authenticate(token)
    assert refusal.value.metadata["scheme"] == "Bearer"
    assert token not in refusal.value.message
    return refusal.value.metadata["cause"]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_token_speaks_for_its_subject(issuer: Issuer, algorithm: str) -> None:
    tokens = tokens_of(issuer)
    assert await tokens.authenticate(issuer.token(algorithm)) == ADA
    assert await tokens.authenticate(issuer.token(algorithm, aud=["other", AUDIENCE])) == ADA


def seconds(offset: float) -> int:
    return int(time.time() + offset)


Make = Callable[[Issuer], str]


def without_signature(issuer: Issuer) -> str:
    return issuer.token("RS256").rpartition(".")[0] + "."


def segment(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def unsigned(issuer: Issuer) -> str:
    return f"{segment({'alg': 'none', 'kid': 'RS256'})}.{issuer.token('RS256').split('.')[1]}."


def signed_with_the_public_key(issuer: Issuer) -> str:
    """The old trick: a public key taken for a shared secret."""
    claims = issuer.token("RS256").split(".")[1]
    head = f"{segment({'alg': 'HS256', 'kid': 'RS256'})}.{claims}"
    public = json.dumps(issuer.key_set()["keys"][0]).encode()
    signature = hmac.digest(public, head.encode(), "sha256")
    return f"{head}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def changed(issuer: Issuer) -> str:
    head, claims, signature = issuer.token("ES256").split(".")
    said = json.loads(base64.urlsafe_b64decode(claims + "=="))
    return f"{head}.{segment(said | {'role': 'admin'})}.{signature}"


def by_somebody_else(issuer: Issuer) -> str:
    other = Issuer()
    other.private["ES256"] = new_key("ES256"), "ES256"
    return other.token("ES256")


BAD: dict[str, tuple[str, Make]] = {
    "expired": ("TOKEN_EXPIRED", lambda issuer: issuer.token("ES256", exp=seconds(-6))),
    "not yet": ("TOKEN_NOT_YET_VALID", lambda issuer: issuer.token("ES256", nbf=seconds(60))),
    "issued in the future": ("TOKEN_NOT_YET_VALID", lambda issuer: issuer.token("ES256", iat=seconds(60))),
    "other audience": ("TOKEN_AUDIENCE_WRONG", lambda issuer: issuer.token("ES256", aud="other")),
    "other issuer": ("TOKEN_ISSUER_WRONG", lambda issuer: issuer.token("ES256", iss="https://evil.example")),
    "no end": ("TOKEN_CLAIM_MISSING", lambda issuer: issuer.token("ES256", exp=None)),
    "no subject": ("TOKEN_CLAIM_MISSING", lambda issuer: issuer.token("ES256", sub=None)),
    "no audience": ("TOKEN_CLAIM_MISSING", lambda issuer: issuer.token("ES256", aud=None)),
    "no issuer": ("TOKEN_CLAIM_MISSING", lambda issuer: issuer.token("ES256", iss=None)),
    "empty subject": ("TOKEN_CLAIM_MISSING", lambda issuer: issuer.token("ES256", sub="")),
    "long subject": ("TOKEN_CLAIM_MISSING", lambda issuer: issuer.token("ES256", sub="x" * 201)),
    "subject with NUL": ("TOKEN_CLAIM_MISSING", lambda issuer: issuer.token("ES256", sub="a\0b")),
    "no role": ("TOKEN_ROLE_UNKNOWN", lambda issuer: issuer.token("ES256", role=None)),
    "other role": ("TOKEN_ROLE_UNKNOWN", lambda issuer: issuer.token("ES256", role="owner")),
    "role that is a number": ("TOKEN_ROLE_UNKNOWN", lambda issuer: issuer.token("ES256", role=3)),
    "roles that are no texts": ("TOKEN_ROLE_UNKNOWN", lambda issuer: issuer.token("ES256", role=[3, {}, None])),
    "unknown key": ("TOKEN_KEY_UNKNOWN", lambda issuer: issuer.token("ES256", {"kid": "nobody"})),
    "key of another algorithm": ("TOKEN_ALGORITHM_NOT_ALLOWED", lambda issuer: issuer.token("ES256", {"kid": "RS256"})),
    "by somebody else": ("TOKEN_SIGNATURE_INVALID", by_somebody_else),
    "changed": ("TOKEN_SIGNATURE_INVALID", changed),
    "without its signature": ("TOKEN_SIGNATURE_INVALID", without_signature),
    "unsigned": ("TOKEN_ALGORITHM_NOT_ALLOWED", unsigned),
    "shared secret": ("TOKEN_ALGORITHM_NOT_ALLOWED", signed_with_the_public_key),
    "torn": ("TOKEN_MALFORMED", lambda issuer: issuer.token("ES256")[5:]),
    "dots": ("TOKEN_MALFORMED", lambda _: ".."),
    "nonsense": ("TOKEN_MALFORMED", lambda _: "a.b.c"),
    "deep": ("TOKEN_MALFORMED", lambda _: f"{base64.urlsafe_b64encode(b'[' * 9000).decode()}.e30.e30"),
    "critical extension": ("TOKEN_MALFORMED", lambda issuer: issuer.token("ES256", {"crit": ["x"], "x": 1})),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_token_is_told_its_fault(issuer: Issuer, name: str) -> None:
    expected, make = BAD[name]
    tokens = tokens_of(issuer)
    assert await cause(tokens, make(issuer)) == expected
    assert await tokens.authenticate(issuer.token("ES256")) == ADA


async def test_a_key_for_encryption_signs_nothing(issuer: Issuer) -> None:
    keys = issuer.key_set()["keys"]
    issuer.body = json.dumps(
        {"keys": [key | {"use": "enc"} if key["kid"] == "RS256" else key for key in keys]}
    ).encode()
    tokens = tokens_of(issuer)
    assert await cause(tokens, issuer.token("RS256")) == "TOKEN_KEY_UNKNOWN"
    assert await tokens.authenticate(issuer.token("ES256")) == ADA


ODD: tuple[Any, ...] = (
    10**400,
    -(10**400),
    1e308,
    float("inf"),
    float("nan"),
    True,
    "\ud800",
    "",
    "\0",
    [],
    {},
    [[]],
    0,
)
"""What a claim may be as far as JSON goes."""

CLAIMS = ("exp", "nbf", "iat", "sub", "aud", "iss", "role", "customer", "jti")
HEADERS = ("kid", "crit", "b64", "typ", "cty", "jku")


@pytest.mark.parametrize("name", [*CLAIMS, *HEADERS])
async def test_whatever_a_signed_token_says_it_is_taken_or_refused(issuer: Issuer, name: str) -> None:
    """With a good signature: other programs of the shop may have tokens of the issuer made as they like."""
    key, algorithm = issuer.private["ES256"]
    tokens = tokens_of(issuer, customer_claim="customer")
    for value in ODD:
        said = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "ada",
            "exp": seconds(600),
            "role": "storefront",
            "customer": "eve",
        }
        head = {"alg": algorithm, "kid": "ES256"}
        (head if name in HEADERS else said)[name] = value
        body = f"{segment(head)}.{segment(said)}"
        signature = ECAlgorithm(ECAlgorithm.SHA256).sign(body.encode(), key)
        try:
            caller = await tokens.authenticate(f"{body}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}")
        except CredentialsInvalid as refusal:
            status_of(refusal)
        else:
            caller.customer_id.encode()


async def test_the_clock_may_be_off_by_the_leeway(issuer: Issuer) -> None:
    tokens, token = tokens_of(issuer, leeway_seconds=60.0), issuer.token("ES256", exp=seconds(-30), nbf=seconds(30))
    assert await tokens.authenticate(token) == ADA


async def test_a_token_that_is_remembered_ends_all_the_same(issuer: Issuer) -> None:
    tokens = tokens_of(issuer, leeway_seconds=0)
    await tokens.authenticate(issuer.token("ES256"))  # reads the keys, so that the next one is verified at once
    token = issuer.token("ES256", exp=seconds(4))
    assert await tokens.authenticate(token) == ADA

    async def has_ended() -> bool:
        try:
            await tokens.authenticate(token)
        except CredentialsInvalid as refusal:
            return refusal.metadata["cause"] == "TOKEN_EXPIRED"
        return False

    await until(has_ended)


@pytest.mark.parametrize(
    ("claim", "claims", "role"),
    [
        ("role", {"role": "storefront"}, Role.STOREFRONT),
        ("role", {"role": "editor"}, Role.PMS),
        ("role", {"role": ["guest", "storefront", "editor"]}, Role.PMS),
        ("scope", {"scope": "openid storefront admin"}, Role.ADMIN),
        ("realm_access.roles", {"realm_access": {"roles": ["editor"]}}, Role.PMS),
        ("https://shop.example/role", {"https://shop.example/role": "admin"}, Role.ADMIN),
    ],
)
async def test_where_the_role_stands(issuer: Issuer, claim: str, claims: dict[str, Any], role: Role) -> None:
    caller = await tokens_of(issuer, role_claim=claim).authenticate(issuer.token("ES256", **{"role": None, **claims}))
    assert caller.role is role


async def test_an_algorithm_that_is_not_pinned_is_not_taken(issuer: Issuer) -> None:
    tokens = Tokens(TokenKeys(from_url(issuer.url), ["ES256"], 60.0), rules(algorithms=["ES256"]))
    assert await cause(tokens, issuer.token("RS256")) == "TOKEN_ALGORITHM_NOT_ALLOWED"
    assert issuer.reads == 0, "the issuer is not asked for such a key"
    assert await tokens.authenticate(issuer.token("ES256")) == ADA


async def test_a_token_without_a_key_id_needs_a_set_of_one_key(issuer: Issuer) -> None:
    key, _ = issuer.private["ES256"]
    plain = jwt.encode(jwt.decode(issuer.token("ES256"), options={"verify_signature": False}), key, "ES256")
    assert await cause(tokens_of(issuer), plain) == "TOKEN_KEY_UNKNOWN"
    issuer.private = {"ES256": (key, "ES256")}
    assert await tokens_of(issuer).authenticate(plain) == ADA


# The issuer's keys


async def test_a_new_key_is_known_at_once_and_an_old_one_forgotten(issuer: Issuer) -> None:
    key_set = TokenKeys(from_url(issuer.url), ALGORITHMS, 0.0)
    tokens = Tokens(key_set, rules())
    old = issuer.token("ES256")
    assert await tokens.authenticate(old) == ADA
    issuer.add("next", "ES256")
    assert await tokens.authenticate(issuer.token("next")) == ADA
    del issuer.private["ES256"]
    await key_set.refresh()
    assert await cause(tokens, old) == "TOKEN_KEY_UNKNOWN"


async def test_made_up_key_ids_cost_the_issuer_nothing(issuer: Issuer) -> None:
    tokens = tokens_of(issuer, refetch_seconds=60.0)
    await tokens.authenticate(issuer.token("ES256"))
    made_up = [issuer.token("ES256", {"kid": f"made-up-{n}"}) for n in range(50)]
    assert {await cause(tokens, token) for token in made_up} == {"TOKEN_KEY_UNKNOWN"}
    assert issuer.reads == 1


async def test_calls_that_come_together_read_the_keys_once(issuer: Issuer) -> None:
    tokens = tokens_of(issuer)
    found = await asyncio.gather(*(tokens.authenticate(issuer.token("ES256", sub=f"s{n}")) for n in range(20)))
    assert {caller.name for caller in found} == {f"jwt:s{n}" for n in range(20)}
    assert issuer.reads == 1


UNREADABLE: dict[str, tuple[int, bytes | None]] = {
    "an error": (500, None),
    "a redirect": (302, None),
    "no JSON": (200, b"<html>"),
    "no set": (200, b"[]"),
    "no keys": (200, b'{"keys": []}'),
    "a shared secret": (200, b'{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "ES256"}]}'),
    "too much": (200, b" " * (1024 * 1024 + 1)),
    "too deep": (200, b"[" * 100_000),
    "no text": (200, b"\xff"),
}


@pytest.mark.parametrize("name", UNREADABLE)
async def test_while_the_keys_cannot_be_read_nothing_is_said_of_the_token(issuer: Issuer, name: str) -> None:
    issuer.status, issuer.body = UNREADABLE[name]
    tokens = tokens_of(issuer, refetch_seconds=0.0)
    with pytest.raises(TokenKeysUnavailable):
        await tokens.authenticate(issuer.token("ES256"))
    issuer.status, issuer.body = 200, None
    assert await tokens.authenticate(issuer.token("ES256")) == ADA


async def test_known_keys_stay_good_while_the_issuer_is_away(issuer: Issuer) -> None:
    key_set = TokenKeys(from_url(issuer.url), ALGORITHMS, 60.0)
    tokens = Tokens(key_set, rules())
    assert await tokens.authenticate(issuer.token("ES256")) == ADA
    issuer.status = 503
    with pytest.raises(TokenKeysUnavailable):
        await key_set.refresh()
    assert await tokens.authenticate(issuer.token("EdDSA")) == ADA
    with pytest.raises(TokenKeysUnavailable):
        await tokens.authenticate(issuer.token("ES256", {"kid": "maybe-new"}))


async def test_nobody_listens() -> None:
    signer = Issuer()
    signer.add("a", "EdDSA")
    tokens = Tokens(TokenKeys(from_url("http://127.0.0.1:1/keys"), ALGORITHMS, 60.0), rules())
    with pytest.raises(TokenKeysUnavailable):
        await tokens.authenticate(signer.token("a"))


async def test_keys_of_a_file(issuer: Issuer, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    tokens = Tokens(TokenKeys(from_file(file), ALGORITHMS, 0.0), rules())
    with pytest.raises(TokenKeysUnavailable):
        await tokens.authenticate(issuer.token("ES256"))
    file.write_text(json.dumps(issuer.key_set()))
    assert await tokens.authenticate(issuer.token("ES256")) == ADA


async def test_a_weak_key_is_not_taken(issuer: Issuer) -> None:
    issuer.private["weak"] = rsa.generate_private_key(public_exponent=65537, key_size=1024), "RS256"
    with pytest.warns(InsecureKeyLengthWarning):
        token = issuer.token("weak")
    assert await cause(tokens_of(issuer), token) == "TOKEN_KEY_UNKNOWN"


# A server that takes tokens


@pytest.fixture
async def shop(settings: Settings, issuer: Issuer) -> AsyncIterator[Shop]:
    fields = {
        "jwks_url": issuer.url,
        "jwks_refetch_seconds": 0.05,
        "jwt_issuer": ISSUER,
        "jwt_audience": AUDIENCE,
        "jwt_roles": "editor=pms,shop=storefront",
    }
    async with running_shop(Settings.model_validate({**settings.model_dump(exclude_unset=True), **fields})) as shop:
        yield shop


async def test_a_server_takes_tokens_beside_keys(shop: Shop, issuer: Issuer) -> None:
    async def adjust(token: str) -> Message:
        stubs = callers(shop.address, token)
        try:
            answer: Message = await stubs.inventory.AdjustStock(
                inventory.AdjustStockRequest(sku="TEE", delta=1, reason=inventory.ADJUSTMENT_REASON_FOUND)
            )
            return answer
        finally:
            await stubs.channel.close()

    await shop.sell("TEE")
    await adjust(issuer.token("RS256", sub="ada@shop.example", role="editor"))
    ledger = await shop.pms.inventory.ListStockMovements(inventory.ListStockMovementsRequest(sku="TEE"))
    assert [movement.actor for movement in ledger.movements] == ["jwt:ada@shop.example"]

    async def told(token: str) -> Refused:
        return await refused(adjust(token))

    refusal = await told(issuer.token("RS256", role="shop"))
    assert (refusal.code.name, refusal.reason) == ("PERMISSION_DENIED", "ROLE_NOT_ALLOWED")
    refusal = await told(issuer.token("RS256", role="editor", exp=seconds(-100)))
    assert (refusal.code.name, refusal.reason) == ("UNAUTHENTICATED", "CREDENTIALS_INVALID")
    assert refusal.metadata == {"scheme": "Bearer", "cause": "TOKEN_EXPIRED"}
    refusal = await told("swk_pms_unknown")
    assert (refusal.reason, refusal.metadata) == ("CREDENTIALS_INVALID", {"scheme": "Bearer"})
    issuer.status = 500
    refusal = await told(issuer.token("RS256", {"kid": "next"}, role="editor"))
    assert (refusal.code.name, refusal.reason) == ("UNAVAILABLE", "TOKEN_KEYS_UNAVAILABLE")
    assert refusal.retry_after == 1.0
