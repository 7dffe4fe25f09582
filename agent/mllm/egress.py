"""May pictures leave for this server? A pure decision, asked before any adapter is built.

Inside are this machine, the private networks of RFC 1918 and RFC 4193, and names that cannot be
public ones. Everything else is outside, link-local addresses (cloud metadata) included.
"""

import ipaddress
import re
from enum import StrEnum
from typing import Literal
from urllib.parse import urlsplit

from agent.errors import EgressForbidden

Egress = Literal["off", "deidentified"]

_PRIVATE = tuple(
    ipaddress.ip_network(block)
    for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
)
# A name without a dot is one of the own network (a compose service); it starts with a letter, as
# 134744072 and 0x08080808 are addresses. The endings are reserved: RFC 6761, 6762, 8375, ICANN.
_INNER_NAME = re.compile(
    r"[a-z][a-z0-9_-]*|[a-z0-9_.-]+\.(?:localhost|local|internal|home\.arpa)", re.IGNORECASE
)


class Place(StrEnum):
    """Where a server stands, seen from us."""

    LOOPBACK = "loopback"
    PRIVATE = "private"
    OUTSIDE = "outside"


def place_of(base_url: str) -> Place:
    """Tell where the host of a URL stands, without asking the network."""
    host = host_of(base_url)
    try:
        return _place_of_address(ipaddress.ip_address(host))
    except ValueError:
        pass
    if host == "localhost" or host.endswith(".localhost"):
        return Place.LOOPBACK
    return Place.PRIVATE if _INNER_NAME.fullmatch(host) else Place.OUTSIDE


def host_of(base_url: str) -> str:
    """Return the lower-case host of an http or https URL.

    Raises:
        EgressForbidden: it is no such URL.
    """
    try:
        parts = urlsplit(base_url)
        host = parts.hostname
    except ValueError:
        host = None
    if not host or parts.scheme not in {"http", "https"}:
        raise EgressForbidden("the MLLM's base URL must be http or https with a host")
    return host.rstrip(".")


def check_egress(setting: Egress, base_url: str, *, private_servers: bool = True) -> Place:
    """Return where the server stands if pictures may go there.

    Args:
        setting: ``off`` keeps pictures inside; ``deidentified`` lets freshly rendered PNG leave.
        base_url: the MLLM server's.
        private_servers: whether servers of the own network, beyond this machine, may be used.

    Raises:
        EgressForbidden: they may not.
    """
    place = place_of(base_url)
    host = host_of(base_url)
    if place is Place.PRIVATE and not private_servers:
        raise EgressForbidden(f"pictures may not go to {host}: servers of the network are off")
    if place is Place.OUTSIDE and setting == "off":
        raise EgressForbidden(f"pictures may not leave for {host}: egress is off")
    if place is Place.OUTSIDE and urlsplit(base_url).scheme != "https":
        raise EgressForbidden(f"pictures may leave for {host} by https only")
    return place


def _place_of_address(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> Place:
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_loopback:
        return Place.LOOPBACK
    inside = any(address in block for block in _PRIVATE if block.version == address.version)
    return Place.PRIVATE if inside else Place.OUTSIDE
