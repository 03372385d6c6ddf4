"""Where webhooks may go, checked on the resolved address of each connection rather than on the URL."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from aiohttp import AddrInfoType

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LOOPBACK = ("127.0.0.0/8", "::1/128")
"""Loopback networks, which are allowed in development."""

GLOBAL_UNICAST = IPv6Network("2000::/3")
"""The range that IANA allocates for global unicast. Unique local, link-local, site-local, multicast, discard-only,
IPv4-compatible addresses and the local use of NAT64 lie outside."""

NAT64 = IPv6Network("64:ff9b::/96")
"""IPv4 addresses embedded in IPv6 for translators (RFC 6052)."""

NOT_FOR_ALL = (
    IPv4Network("168.63.129.16/32"),  # a cloud's internal services for its virtual machines
    IPv4Network("192.0.0.0/24"),  # protocol assignments; another cloud has its metadata there
    IPv4Network("192.88.99.0/24"),  # relays of 6to4, deprecated (RFC 7526)
    IPv6Network("3fff::/20"),  # for documentation (RFC 9637)
    IPv6Network("2001:db8::/32"),
)
"""Special-purpose networks that older versions of `ipaddress` consider global."""


class EgressRefused(OSError):
    """Webhooks must not be sent to this address or URL."""


@dataclass(frozen=True, slots=True)
class Egress:
    """Allows webhooks to the public Internet and to the `allowed` networks; over https only, if `require_https`."""

    allowed: Sequence[Network] = ()
    require_https: bool = True

    @classmethod
    def of(cls, networks: Sequence[str], *, require_https: bool) -> Egress:
        """Returns the policy for networks such as `10.0.0.0/8`. Raises ValueError for a malformed network."""
        return cls(tuple(map(ip_network, networks)), require_https)

    def make_socket(self, address: AddrInfoType) -> socket.socket:
        """Returns a socket for a connection to this address. Raises EgressRefused where webhooks may not go there.

        The check is on the resolved address of this connection, so a name that resolves differently later (DNS
        rebinding) cannot evade it.
        """
        family, kind, protocol, _, target = address
        self.refuse_address(str(target[0]))
        return socket.socket(family, kind, protocol)

    def refuse_address(self, address: str) -> None:
        """Raises EgressRefused unless webhooks may go to this IP address."""
        ip = _unmapped(ip_address(address.partition("%")[0]))
        if not any(ip in network for network in self.allowed) and not _is_public(ip):
            raise EgressRefused(
                errno.EACCES, f"webhooks are not sent to {address}, which is not an address of the public Internet"
            )

    def refuse_url(self, url: str) -> None:
        """Raises EgressRefused where https is required and the URL has another scheme."""
        if self.require_https and not url.lower().startswith("https://"):
            raise EgressRefused(errno.EACCES, "webhooks are sent over https only")


def _unmapped(ip: Address) -> Address:
    """Returns the IPv4 address that an IPv6 address embeds (::ffff:0:0/96, NAT64), else the address itself."""
    if isinstance(ip, IPv6Address):
        if ip.ipv4_mapped:
            return ip.ipv4_mapped
        if ip in NAT64:
            return IPv4Address(ip.packed[12:])
    return ip


def _is_public(ip: Address) -> bool:
    if not ip.is_global or ip.is_multicast or ip.is_reserved or any(ip in network for network in NOT_FOR_ALL):
        return False
    if isinstance(ip, IPv6Address):
        tunnel = ip.sixtofour or (ip.teredo and ip.teredo[1])
        return ip in GLOBAL_UNICAST and (not tunnel or _is_public(tunnel))
    return True
