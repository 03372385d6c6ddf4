"""All settings, with their types, defaults and rules."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from stockward_server.application.calls import LoggedCalls, MethodKind
from stockward_server.config.checks import (
    check_address,
    check_algorithms,
    check_api_prefix,
    check_database_read_url,
    check_database_url,
    check_jwks_url,
    check_networks,
    check_public_url,
    check_queue_url,
    check_stream_name,
    check_token_roles,
    check_webhook_secrets,
    check_webhook_url,
    is_loopback,
    lower,
    names,
    several,
)
from stockward_server.config.masking import masked_url
from stockward_server.config.production import refuse_conveniences

PREFIX = "STOCKWARD_"

WEBHOOK_PARTIES = ("storefront", "pms")
"""Parties with which the settings exchange webhooks."""

WEBHOOK_SECRETS = tuple(
    f"{party}_{kind}secret" for kind in ("webhook_", "incoming_webhook_") for party in WEBHOOK_PARTIES
)
"""Fields with the secret of each party and direction."""


class SettingsError(Exception):
    """Settings that cannot be used; ``problems`` has one line for each: the variable's name and what was expected.

    The values are never part of it: any of them may be a secret in the wrong variable.
    """

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class Environment(StrEnum):
    """Kind of deployment; production refuses conveniences of development."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class Plaintext(StrEnum):
    """Where the gRPC server and the edge may listen without TLS."""

    LOOPBACK = "loopback"
    ANYWHERE = "anywhere"


class LogLevel(StrEnum):
    """Lowest severity of the log records that are written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """Format of log records."""

    TEXT = "text"
    JSON = "json"


Address = Annotated[str, AfterValidator(check_address)]
WebhookSecrets = Annotated[SecretStr, AfterValidator(check_webhook_secrets)]
WebhookUrl = Annotated[SecretStr, AfterValidator(check_webhook_url)]


class Settings(BaseModel):
    """All settings, checked. `stockward config` prints the docstring of each field."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        use_attribute_docstrings=True,
        defer_build=True,  # most processes only use the class of load_settings
        hide_input_in_errors=True,
        validate_default=True,
    )

    database_url: Annotated[SecretStr, AfterValidator(check_database_url)] = Field(
        default=SecretStr("postgresql://stockward@127.0.0.1:5432/stockward"), validation_alias="DATABASE_URL"
    )
    """PostgreSQL, the record of everything: a primary and its standbys, `HOST:PORT` separated by commas; must be set in
    production."""

    database_read_url: Annotated[SecretStr, AfterValidator(check_database_read_url)] | None = Field(
        default=None, validation_alias="DATABASE_READ_URL"
    )
    """Standbys of PostgreSQL that serve lists, searches, the ledger and audits, `HOST:PORT` separated by commas; what
    they cannot serve goes to DATABASE_URL. See docs/how-to/operator/read-replicas.md."""

    event_queue_url: Annotated[SecretStr, AfterValidator(check_queue_url)] = Field(
        default=SecretStr("nats://127.0.0.1:4222"), validation_alias="EVENT_QUEUE_URL"
    )
    """NATS with JetStream, where events go; several servers by commas; must be set in production. Each process has its
    own user there."""

    event_queue_api: Annotated[str, AfterValidator(check_api_prefix)] = "$JS.API"
    """Prefix of JetStream's API there for `stockward doctor` and `events tail`: `STOCKWARD.API` for a user who may only
    read events."""

    storefront_webhook_secret: WebhookSecrets | None = Field(default=None, validation_alias="STOREFRONT_WEBHOOK_SECRET")
    """Signs webhooks to STOREFRONT_WEBHOOK_URL (Standard Webhooks 1.0); of several, by spaces or commas, the first one
    signs. `stockward run` generates it where it is not set, and the next three."""

    pms_webhook_secret: WebhookSecrets | None = Field(default=None, validation_alias="PMS_WEBHOOK_SECRET")
    """Signs webhooks to PMS_WEBHOOK_URL."""

    storefront_incoming_webhook_secret: WebhookSecrets | None = Field(
        default=None, validation_alias="STOREFRONT_INCOMING_WEBHOOK_SECRET"
    )
    """Secret with which the storefront signs webhooks to /api/storefront/webhook; of several any is accepted."""

    pms_incoming_webhook_secret: WebhookSecrets | None = Field(
        default=None, validation_alias="PMS_INCOMING_WEBHOOK_SECRET"
    )
    """Secret with which the product management system signs those to /api/pms/webhook; of several any is accepted."""

    webhook_secret: WebhookSecrets | None = Field(default=None, validation_alias="WEBHOOK_SECRET")
    """Former secret of all parties in both directions; in this release it still replaces those of the four above that
    are not set, and is accepted for incoming webhooks beside them."""

    stripe_webhook_secret: SecretStr | None = None
    """Signing secret of the Stripe endpoint that sends payment events here; several by spaces or commas."""

    storefront_webhook_url: WebhookUrl | None = Field(default=None, validation_alias="STOREFRONT_WEBHOOK_URL")
    """Where the storefront receives events, over http or https."""

    pms_webhook_url: WebhookUrl | None = Field(default=None, validation_alias="PMS_WEBHOOK_URL")
    """Where the product management system receives events, over http or https."""

    jwks_url: Annotated[str, AfterValidator(check_jwks_url)] | None = None
    """URL of a token issuer's public keys (JWKS, RFC 7517). With it, or with a file of them, the issuer's JSON Web
    Tokens are accepted in addition to API keys."""

    jwks_file: Path | None = None
    """File with those keys, in place of the URL; it may change while the server runs."""

    jwks_refresh_seconds: float = Field(default=300.0, ge=1, le=86_400, allow_inf_nan=False)
    """Interval at which the issuer's keys are read, in seconds; a key that is removed is accepted that much longer."""

    jwks_refetch_seconds: float = Field(default=10.0, ge=0.05, le=3_600, allow_inf_nan=False)
    """Minimum pause between two reads of the keys that tokens with unknown key ids cause, in seconds."""

    jwt_issuer: str | None = Field(default=None, min_length=1, max_length=1000)
    """`iss` that a token must have; required where tokens are accepted."""

    jwt_audience: str | None = Field(default=None, min_length=1, max_length=1000)
    """`aud` that a token must have, alone or among others; required where tokens are accepted."""

    jwt_algorithms: Annotated[str, AfterValidator(check_algorithms)] = "RS256,ES256,EdDSA"
    """Signature algorithms that are accepted, by commas: RS256, ES256, EdDSA."""

    jwt_role_claim: str = Field(default="role", min_length=1, max_length=200)
    """Claim with the role, or the path to it, such as realm_access.roles; of several roles the highest counts."""

    jwt_roles: Annotated[str, AfterValidator(check_token_roles)] = (
        "storefront=storefront,viewer=viewer,pms=pms,admin=admin"
    )
    """Names of the roles storefront, viewer, pms and admin in that claim: THEIRS=OURS, several by commas."""

    jwt_customer_claim: str | None = Field(default=None, min_length=1, max_length=200)
    """Claim with the customer for whom a storefront's token acts, or the path to it. With this setting each such token
    must have it, and cannot see data of other customers; API keys still act for the whole shop."""

    jwt_leeway_seconds: float = Field(default=30.0, ge=0, le=300, allow_inf_nan=False)
    """How far the issuer's clock may be off, in seconds."""

    environment: Annotated[Environment, BeforeValidator(lower)] = Environment.DEVELOPMENT
    """`development`, or `production`, which refuses what is meant for one's own machine: see
    docs/how-to/operator/secure-a-deployment.md."""

    reflection: bool | None = None
    """Whether the gRPC server offers reflection (grpc.reflection); if it is not set, in development only."""

    console: bool | None = None
    """Whether the edge serves the console for staff at /console; if it is not set, in development only."""

    home: Path = Path(".stockward")
    """Directory of `stockward run`: data, logs, keys and run.json. Unless it is set, `.stockward` in the current
    folder or the nearest one above it that has one."""

    log_level: Annotated[LogLevel, BeforeValidator(lower)] = LogLevel.INFO
    """Least severe record written to the log: debug, info, warning or error."""

    log_format: Annotated[LogFormat, BeforeValidator(lower)] = LogFormat.TEXT
    """`text`, lines for people, or `json`, an object a line."""

    log_calls: Annotated[LoggedCalls, BeforeValidator(lower)] = LoggedCalls.NONE
    """Calls that are logged, a line each: none, refused or all; at the level debug all of them are."""

    grpc_address: Address = "127.0.0.1:50051"
    """HOST:PORT that the gRPC server listens on."""

    tls_cert: Path | None = None
    """File (PEM) with the gRPC server's certificate and those between it and its root; with it the server speaks TLS.
    It may be replaced while the server runs, and so may the next two."""

    tls_key: Path | None = None
    """File (PEM) with the private key of that certificate."""

    tls_client_ca: Path | None = None
    """File (PEM) with the roots of clients: with it, each client must present a certificate issued by one of them."""

    server_ca: Path | None = None
    """File (PEM) with the roots of the gRPC server's certificate, for the commands of staff, which then speak TLS, and
    for the edge; without it commands take the usual roots."""

    client_cert: Path | None = None
    """File (PEM) with the certificate that commands and the edge show to a gRPC server that asks for one."""

    client_key: Path | None = None
    """File (PEM) with the private key of that certificate."""

    edge_tls_cert: Path | None = None
    """File (PEM) with the edge's certificate and those between it and its root; with it the edge speaks TLS. Replace
    it, and the next two, by moving new ones into their place."""

    edge_tls_key: Path | None = None
    """File (PEM) with the private key of that certificate, in the same directory."""

    edge_tls_client_ca: Path | None = None
    """File (PEM) with the roots of callers: with it, each caller of the edge must present a certificate issued by one.
    """

    plaintext: Annotated[Plaintext, BeforeValidator(lower)] = Plaintext.LOOPBACK
    """`loopback`: what listens at other addresses, or is called there, has to speak TLS. `anywhere`: it need not, as
    where something in front of it does."""

    share_port: bool = False
    """Whether other processes may listen on that port, too, as `stockward serve --workers` has them do."""

    worker: int = Field(default=1, ge=1)
    """Which of these processes this is, as `stockward serve --workers` numbers them; the first one audits for all."""

    edge_address: Address = "127.0.0.1:8080"
    """HOST:PORT that the edge listens on: REST, gRPC-Web and gRPC."""

    edge_proxies: int = Field(default=0, ge=0, le=10)
    """Proxies in front of the edge, such as an ingress: so many from the right in x-forwarded-for is the caller's
    address. Then the connections of one address are theirs to limit."""

    edge_connections_per_address: int = Field(default=2_500, ge=0, le=10_000)
    """Connections of one address to the edge at once, of 10000 in all; 0 for no limit. All addresses share 8 such
    counts, by their hash."""

    edge_keyless_per_second: int = Field(default=100, ge=0, le=100_000)
    """Requests without a credential, such as webhooks, that the edge takes from one address a second, ten times as many
    at once; 0 for no limit. While it refuses more than so many within ten seconds, those with an unknown one count."""

    edge_calls_per_second: int = Field(default=1_000, ge=0, le=100_000)
    """Calls of one caller that each worker of the edge lets through a second, 32 of them at once; more wait for their
    turn, for two seconds at most. 0 for no limit. A caller is a credential, or without a good one an address."""

    gateway_address: Address = "127.0.0.1:8081"
    """HOST:PORT that the webhook gateway listens on."""

    server_admin_address: Address = "127.0.0.1:9464"
    """HOST:PORT of the gRPC server's health and metrics; workers of one server take the ports from there on."""

    relay_admin_address: Address = "127.0.0.1:9463"
    """HOST:PORT of the relay's health and metrics; the gateway has them at its own address."""

    demo_address: Address = "127.0.0.1:8090"
    """HOST:PORT that `stockward run` sends webhooks to whose URL is not set; `stockward demo` listens there."""

    pool_size: int = Field(default=10, ge=2, le=1000)
    """Most PostgreSQL connections of each server process for calls; it takes two more for probes and metrics."""

    replica_max_lag_seconds: float = Field(default=2.0, ge=0.2, le=300, allow_inf_nan=False)
    """How old may be what a standby of DATABASE_READ_URL shows, in seconds; a caller's own last change is always shown.
    """

    max_message_bytes: int = Field(default=4 * 1024 * 1024, ge=64 * 1024, le=64 * 1024 * 1024)
    """Largest gRPC message or JSON body that is accepted, in bytes."""

    max_unread_bytes: int = Field(default=32 * 1024 * 1024, ge=1024 * 1024, le=64 * 1024**3)
    """Responses of a server process that their callers have not read yet, in bytes, small ones apart. A caller that
    leaves half of it unread gets no more before it has read some."""

    reads_per_second: float | None = Field(default=None, ge=0, le=1_000_000, allow_inf_nan=False)
    """Reads that one key or token may make of a server process, a second; 0 for no limit. Unless it is set, 10000, and
    1000 in production."""

    writes_per_second: float | None = Field(default=None, ge=0, le=1_000_000, allow_inf_nan=False)
    """The same for changes: 10000, and 500 in production."""

    bulk_per_second: float | None = Field(default=None, ge=0, le=1_000_000, allow_inf_nan=False)
    """The same for batches, uploads and watches that are opened: 10000, and 100 in production."""

    rate_burst_seconds: float = Field(default=2.0, ge=0, le=3_600, allow_inf_nan=False)
    """How many seconds' worth of these calls may come at once."""

    max_concurrent_rpcs: int = Field(default=4096, ge=1, le=1_000_000)
    """Calls of a server process at once, watches apart; further ones get RESOURCE_EXHAUSTED."""

    max_connections: int = Field(default=10_000, ge=1, le=1_000_000)
    """Connections to the gRPC server of a process at once; further ones are closed at once."""

    max_connection_age_seconds: float = Field(default=1800.0, ge=1, le=86_400, allow_inf_nan=False)
    """How long a connection to the gRPC server may last, in seconds; calls under way have a minute more."""

    max_connection_idle_seconds: float = Field(default=300.0, ge=0.1, le=86_400, allow_inf_nan=False)
    """How long a connection to the gRPC server may be without a call, in seconds; then it is closed."""

    max_watches: int = Field(default=2000, ge=0, le=1_000_000)
    """Streams of watches that a server process has open at once, beside the calls of max_concurrent_rpcs."""

    max_watched_keys: int = Field(default=100_000, ge=1, le=100_000_000)
    """SKUs and orders that all watches of a server process may name, counted once for each watch that names them. Each
    takes some 2 KB."""

    max_streams_per_caller: int = Field(default=1000, ge=0, le=1_000_000)
    """Watches and uploads that one key, or one subject's tokens, may have open in a server process; 0 for no limit."""

    max_streams_per_customer: int = Field(default=20, ge=0, le=1_000_000)
    """The same for all tokens of one customer."""

    watch_queue_limit: int = Field(default=1000, ge=1, le=1_000_000)
    """Changes that may wait for one watch; one that leaves more waiting is asked to resume from its cursor."""

    watch_heartbeat_seconds: float = Field(default=15.0, ge=0.05, le=3_600, allow_inf_nan=False)
    """How long a watch may be silent before a response without a change says that nothing happened, in seconds."""

    committer_queue_limit: int = Field(default=10_000, ge=1, le=1_000_000)
    """Stock commands that may wait for the next transaction; further ones get RESOURCE_EXHAUSTED."""

    committer_batch_limit: int = Field(default=500, ge=1, le=10_000)
    """Most lines and rows of stock commands that are decided and written in one transaction; a larger command has one
    to itself."""

    otlp_endpoint: Annotated[str, AfterValidator(check_public_url)] | None = Field(
        default=None, validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT"
    )
    """Collector that traces are sent to, by OTLP over gRPC, such as http://127.0.0.1:4317; none are made without it."""

    slow_batch_seconds: float = Field(default=1.0, gt=0, le=3_600, allow_inf_nan=False)
    """Batches of the committer that take longer are logged, with where the time went, in seconds."""

    reservation_ttl_seconds: int = Field(default=900, ge=1, le=86_400)
    """How long a reservation holds stock when its request does not say, in seconds."""

    reservation_max_lifetime_seconds: int = Field(default=86_400, ge=1, le=30 * 86_400)
    """How long a reservation can be kept alive by extending it, counted from its creation, in seconds."""

    hold_limit: int = Field(default=20, ge=0, le=1_000_000)
    """Open reservations that a storefront may make for one customer_id, at a time; 0 for no limit."""

    hold_unit_limit: int = Field(default=1_000, ge=0, le=10**12)
    """Units in them, over all SKUs; 0 for no limit."""

    hold_limit_per_key: int = Field(default=0, ge=0, le=1_000_000)
    """Open reservations that a storefront's key may make without a customer_id; 0 for no limit. With one they are made
    one batch of one process after another."""

    unpaid_order_limit: int = Field(default=20, ge=0, le=1_000_000)
    """Orders that a storefront may make for one customer_id and that are not paid for, at a time; 0 for no limit."""

    unpaid_unit_limit: int = Field(default=10_000, ge=0, le=10**12)
    """Units in them, over all SKUs; 0 for no limit."""

    unpaid_order_limit_per_key: int = Field(default=0, ge=0, le=1_000_000)
    """Unpaid orders that a storefront's key may make without a customer_id; 0 for no limit. With one they are made one
    batch of one process after another, and orders made before there was one are not counted."""

    unique_references: bool = False
    """Whether an order is refused whose reference another order of the same sales channel has: one that was created
    with a key of the same name."""

    payment_due_seconds: int = Field(default=1_800, ge=1, le=30 * 86_400)
    """How long an unpaid order keeps its stock before it expires, in seconds."""

    sweep_interval_seconds: float = Field(default=1.0, ge=0.05, le=3_600, allow_inf_nan=False)
    """Pause between two looks for expired reservations, unpaid orders and due publications, in seconds."""

    outbox_poll_seconds: float = Field(default=0.2, ge=0.01, le=60, allow_inf_nan=False)
    """How often the relay and watches look for events by themselves, should a wake-up be lost, in seconds."""

    cache_seconds: float = Field(default=0.5, ge=0, le=60, allow_inf_nan=False)
    """How old an answer about a published product or its availability may be, in seconds; 0 reads every one again."""

    event_retention_days: int = Field(default=30, ge=1, le=3_650)
    """How long events can be listed and replayed, in days."""

    movement_retention_days: int = Field(default=0, ge=0, le=36_500)
    """How long movements are kept, in days; they go by whole months, and the opening balances have their sums. 0: for
    ever."""

    idempotency_retention_days: int = Field(default=7, ge=1, le=365)
    """How long a request_id and its answer are remembered, in days."""

    contact_retention_days: int | None = Field(default=None, ge=0, le=36_500)
    """How long an order that is over keeps its customer's name, e-mail and addresses, in days; not set: until
    `stockward customers erase`."""

    shutdown_grace_seconds: float = Field(default=10.0, ge=0, le=600, allow_inf_nan=False)
    """How long calls under way may take to finish once a stop is asked for, in seconds."""

    shutdown_notice_seconds: float | None = Field(default=None, ge=0, le=600, allow_inf_nan=False)
    """How long before that a server still takes calls while its health says NOT_SERVING, in seconds, so that load
    balancers turn away from it first; 3 in production and 0 elsewhere where it is not set."""

    webhook_timeout_seconds: float = Field(default=15.0, ge=0.1, le=25, allow_inf_nan=False)
    """How long a receiver of webhooks may take to answer, in seconds."""

    webhook_warn_days: float = Field(default=1.0, gt=0, le=365, allow_inf_nan=False)
    """After how many days of nothing but failures `endpoint.failing` reports an endpoint."""

    webhook_disable_days: float = Field(default=5.0, gt=0, le=365, allow_inf_nan=False)
    """After how many days of nothing but failures an endpoint is disabled."""

    webhook_networks: Annotated[str, AfterValidator(check_networks)] = ""
    """Private networks that webhooks may be sent to, such as 10.0.0.0/8; several by spaces or commas."""

    public_url: Annotated[str, AfterValidator(check_public_url)] | None = None
    """Where others find the edge, such as https://api.shop.example; links in webhooks begin with it."""

    stream_name: Annotated[str, AfterValidator(check_stream_name)] = "STOCKWARD"
    """Name of the JetStream stream that has the events: letters, digits, `_` and `-`."""

    stream_replicas: Annotated[int, Field(ge=0, le=5)] = 0
    """How many servers of the NATS cluster keep the stream: with 3 one may be lost, with 5 two. 0: 3 for a new stream
    where there are as many servers, and an existing one stays as it is."""

    @model_validator(mode="after")
    def _agree(self) -> Self:
        """Checks rules between fields. Raises ValueError with the names of the variables."""
        if self.reservation_ttl_seconds > self.reservation_max_lifetime_seconds:
            raise ValueError(
                "STOCKWARD_RESERVATION_TTL_SECONDS: expected to be at most STOCKWARD_RESERVATION_MAX_LIFETIME_SECONDS"
            )
        if self.webhook_warn_days > self.webhook_disable_days:
            raise ValueError("STOCKWARD_WEBHOOK_WARN_DAYS: expected to be at most STOCKWARD_WEBHOOK_DISABLE_DAYS")
        if self.jwks_url and self.jwks_file:
            raise ValueError("STOCKWARD_JWKS_FILE: expected to be unset where STOCKWARD_JWKS_URL is set")
        for field in ("jwt_issuer", "jwt_audience"):
            if self.takes_tokens and getattr(self, field) is None:
                raise ValueError(f"{variable(field)}: required where tokens are taken, by STOCKWARD_JWKS_URL or _FILE")
        pairs = (("tls_cert", "tls_key"), ("edge_tls_cert", "edge_tls_key"), ("client_cert", "client_key"))
        for cert, key in pairs:
            for one, other in ((cert, key), (key, cert)):
                if getattr(self, one) and not getattr(self, other):
                    raise ValueError(f"{variable(other)}: required where {variable(one)} is set")
        for ca, cert in (("tls_client_ca", "tls_cert"), ("edge_tls_client_ca", "edge_tls_cert")):
            if getattr(self, ca) and not getattr(self, cert):
                raise ValueError(f"{variable(cert)}: required where {variable(ca)} is set")
        if self.environment is Environment.PRODUCTION:
            refuse_conveniences(self, variable, WEBHOOK_SECRETS)
        return self

    def refuse_plaintext(self, field: str, cert: str) -> None:
        """Raises SettingsError if the address in `field` would be served without TLS where that is not allowed; `cert`
        is the field of its certificate."""
        if getattr(self, cert) or self.plaintext is Plaintext.ANYWHERE or is_loopback(getattr(self, field)):
            return
        raise SettingsError(
            [
                f"{variable(field)}: expected a loopback address such as 127.0.0.1 without TLS; set {variable(cert)} "
                f"for TLS, or STOCKWARD_PLAINTEXT=anywhere where something in front of it speaks TLS"
            ]
        )

    @property
    def reflects(self) -> bool:
        """Whether the gRPC server offers reflection."""
        return self.environment is Environment.DEVELOPMENT if self.reflection is None else self.reflection

    @property
    def serves_console(self) -> bool:
        """Whether the edge serves the console."""
        return self.environment is Environment.DEVELOPMENT if self.console is None else self.console

    @property
    def calls_per_second(self) -> Mapping[MethodKind, float]:
        """Limits of calls a second of one key or token, by kind of method; 0 for no limit."""
        read, write, bulk = MethodKind
        usual = {read: 1_000, write: 500, bulk: 100}
        rates = {read: self.reads_per_second, write: self.writes_per_second, bulk: self.bulk_per_second}
        production = self.environment is Environment.PRODUCTION
        return {kind: (usual[kind] if production else 10_000) if rate is None else rate for kind, rate in rates.items()}

    @property
    def shared_webhook_secrets(self) -> Sequence[str]:
        """Each secret of WEBHOOK_SECRET."""
        return several(self.webhook_secret)

    @property
    def signing_secrets(self) -> Mapping[str, str]:
        """The secret that signs webhooks to each URL of the settings, by endpoint id."""
        own = {name: several(getattr(self, f"{name}_webhook_secret")) for name in WEBHOOK_PARTIES}
        return {
            name: secrets[0] for name, found in own.items() if (secrets := found or list(self.shared_webhook_secrets))
        }

    @property
    def incoming_secrets(self) -> Mapping[str, Sequence[str]]:
        """The secrets that verify incoming webhooks, by party; without those of WEBHOOK_SECRET."""
        return {name: several(getattr(self, f"{name}_incoming_webhook_secret")) for name in WEBHOOK_PARTIES}

    @property
    def webhook_allowed_networks(self) -> Sequence[str]:
        """Each network of STOCKWARD_WEBHOOK_NETWORKS."""
        return self.webhook_networks.replace(",", " ").split()

    @property
    def stripe_webhook_secrets(self) -> Sequence[str]:
        """Each secret of STOCKWARD_STRIPE_WEBHOOK_SECRET."""
        return several(self.stripe_webhook_secret)

    @property
    def shutdown_notice(self) -> float:
        """Seconds from the request to stop to the first call that is refused."""
        if self.shutdown_notice_seconds is not None:
            return self.shutdown_notice_seconds
        return 3.0 if self.environment is Environment.PRODUCTION else 0.0

    @property
    def stop_seconds(self) -> float:
        """Seconds that a server may take from the request to stop to its end, commits and connections included."""
        return self.shutdown_notice + self.shutdown_grace_seconds + 5

    @property
    def certificates(self) -> Mapping[str, Path]:
        """Certificate files in use, by the variable that names each."""
        named = [field for field in type(self).model_fields if field.endswith("_cert")]
        return {variable(field): file for field in named if (file := getattr(self, field)) is not None}

    @property
    def takes_tokens(self) -> bool:
        """Whether JSON Web Tokens are accepted in addition to API keys."""
        return self.jwks_url is not None or self.jwks_file is not None

    @property
    def token_algorithms(self) -> Sequence[str]:
        """Each of STOCKWARD_JWT_ALGORITHMS."""
        return names(self.jwt_algorithms)

    @property
    def token_roles(self) -> Mapping[str, str]:
        """Role of Stockward for each role of the issuer, from STOCKWARD_JWT_ROLES."""
        return dict(pair.split("=", 1) for pair in names(self.jwt_roles))

    def shown(self, field: str) -> str | int | float | None:
        """Returns the value of ``field`` for people and logs, without passwords and other secrets."""
        value = getattr(self, field)
        if not isinstance(value, SecretStr):
            return re.sub(r"://[^/?#]*@", "://***@", str(value)) if isinstance(value, str | Path) else value
        if field.endswith("webhook_secret"):
            return "whsec_***"
        if field == "event_queue_url":
            return ",".join(masked_url(url) for url in value.get_secret_value().split(","))
        return masked_url(value.get_secret_value())


def variable(field: str) -> str:
    """Returns the environment variable that sets ``field``."""
    alias = Settings.model_fields[field].validation_alias
    return alias if isinstance(alias, str) else PREFIX + field.upper()


def variables() -> Mapping[str, str]:
    """Returns the field of every setting by its environment variable."""
    return {variable(field): field for field in Settings.model_fields}
