"""Where webhooks may go: judged by the address that is about to be connected to, whatever the URL said."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

from aiohttp import AddrInfoType


class EgressRefused(OSError):
    """The address is one that webhooks must not be sent to."""


def socket_factory(*, allow_loopback: bool) -> Callable[[AddrInfoType], socket.socket]:
    """Makes the socket of every connection, and refuses where the address is not a permitted one.

    As it is the resolved address of this very connection that is judged, no name can point elsewhere by the time it is
    used.
    """

    def make_socket(address: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, target = address
        refuse_address(str(target[0]), allow_loopback=allow_loopback)
        return socket.socket(family, kind, protocol)

    return make_socket


def refuse_address(address: str, *, allow_loopback: bool) -> None:
    """Raises EgressRefused for this machine's own addresses, unless they are allowed (development)."""
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    if (ip.is_loopback or ip.is_unspecified) and not allow_loopback:
        raise EgressRefused(errno.EACCES, f"webhooks are not sent to this machine itself, {address}")
