"""Which address a request comes from, behind proxies."""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import TypeAlias

Networks: TypeAlias = Sequence[IPv4Network | IPv6Network]


def client_address(peer: str, forwarded_for: str, trusted_proxies: Networks) -> str:
    """The nearest address that is not a trusted proxy's: each proxy appends its own caller to `X-Forwarded-For`."""
    hops = [hop.strip() for hop in forwarded_for.split(",")]
    client = peer
    while hops and _is_in(client, trusted_proxies):
        client = hops.pop()
    return client if _is_address(client) else peer


def _is_in(address: str, networks: Networks) -> bool:
    return _is_address(address) and any(ip_address(address) in network for network in networks)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
