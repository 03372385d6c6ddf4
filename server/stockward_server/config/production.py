"""What production refuses."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_network
from typing import TYPE_CHECKING

from pydantic import SecretStr

from stockward_server.config.checks import crosses_a_network_unverified, has_credentials, is_weak

if TYPE_CHECKING:
    from stockward_server.config.settings import Settings


WHERE = "where STOCKWARD_ENVIRONMENT is production"


def refuse_conveniences(settings: Settings, variable: Callable[[str], str]) -> None:
    """ValueError for what makes one's own machine easy and a shop open; `variable` names the one of a field."""
    where = WHERE
    set_here = settings.model_fields_set
    if "database_url" in set_here and crosses_a_network_unverified(settings.database_url.get_secret_value()):
        raise ValueError(
            f"DATABASE_URL: expected TLS that checks the server {where}, unless that is on this machine: end it in "
            "?sslmode=verify-full&sslrootcert=FILE, with the roots of the database's certificate in FILE"
        )
    if "event_queue_url" in set_here and not has_credentials(settings.event_queue_url.get_secret_value()):
        raise ValueError(
            f"EVENT_QUEUE_URL: expected credentials for every server {where}, as in nats://USER:PASSWORD@HOST:PORT; "
            "deploy/nats/accounts.conf has the users"
        )
    if any(is_weak(secret) for secret in settings.webhook_secrets):
        raise ValueError(f"WEBHOOK_SECRET: expected random bytes {where}, such as of `openssl rand -base64 32`")
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
