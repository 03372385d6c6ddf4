"""Settings that production refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import ip_network
from typing import TYPE_CHECKING

from pydantic import SecretStr

from stockward_server.config.checks import crosses_a_network_unverified, has_credentials, is_weak, several

if TYPE_CHECKING:
    from stockward_server.config.settings import Settings


WHERE = "where STOCKWARD_ENVIRONMENT is production"


def refuse_conveniences(settings: Settings, variable: Callable[[str], str], webhook_secrets: Iterable[str]) -> None:
    """Raises ValueError for conveniences of development that are unsafe in production. `variable` returns the variable
    of a field; `webhook_secrets` are the fields with the secret of one party and direction."""
    where = WHERE
    set_here = settings.model_fields_set
    for field in ("database_url", "database_read_url"):
        if field in set_here and crosses_a_network_unverified(getattr(settings, field).get_secret_value()):
            raise ValueError(
                f"{variable(field)}: expected TLS that checks the server {where}, unless that is on this machine: end "
                "it in ?sslmode=verify-full&sslrootcert=FILE, with the roots of the database's certificate in FILE"
            )
    if "event_queue_url" in set_here and not has_credentials(settings.event_queue_url.get_secret_value()):
        raise ValueError(
            f"EVENT_QUEUE_URL: expected credentials for every server {where}, as in nats://USER:PASSWORD@HOST:PORT; "
            "deploy/nats/accounts.conf has the users"
        )
    users: dict[str, str] = {}
    for field in ("webhook_secret", *webhook_secrets):
        for secret in several(getattr(settings, field)):
            if is_weak(secret):
                raise ValueError(
                    f"{variable(field)}: expected random bytes {where}, such as of `openssl rand -base64 32`"
                )
            if users.setdefault(secret, field) != field:
                raise ValueError(f"{variable(field)}: expected another secret than {variable(users[secret])} {where}")
    for endpoint in ("storefront", "pms"):
        if getattr(settings, f"{endpoint}_webhook_url") and endpoint not in settings.signing_secrets:
            raise ValueError(
                f"{variable(f'{endpoint}_webhook_secret')}: required {where} and "
                f"{variable(f'{endpoint}_webhook_url')} is set"
            )
    for field in ("storefront_webhook_url", "pms_webhook_url", "public_url"):
        url: SecretStr | str | None = getattr(settings, field)
        if url and not (url if isinstance(url, str) else url.get_secret_value()).startswith("https://"):
            raise ValueError(f"{variable(field)}: https is required {where}")
    for network in map(ip_network, settings.webhook_allowed_networks):
        narrow = network.num_addresses <= (256 if network.version == 4 else 2**64)
        if network.is_loopback or network.is_link_local or not narrow:
            raise ValueError(
                f"STOCKWARD_WEBHOOK_NETWORKS: expected networks of receivers {where}, /24 (IPv6: /64) or smaller "
                "and neither loopback nor link-local"
            )
    if settings.reflection:
        raise ValueError(f"STOCKWARD_REFLECTION: expected false {where}")
