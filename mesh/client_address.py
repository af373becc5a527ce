"""The network address of a client, behind proxies, in its one spelling."""

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TypeAlias
from urllib.parse import unquote

ClientAddress: TypeAlias = IPv4Address | IPv6Address
Networks: TypeAlias = Sequence[IPv4Network | IPv6Network]

# A client with one IPv6 address usually has its whole network of 2 ** 64.
_CLIENT_PREFIX_BITS = 64
# Proxies write an address alone or with its port; an IPv6 address with a port has brackets.
_WITH_PORT = re.compile(r"\[(?P<v6>[^\[\]]*)\](?::[0-9]{0,5})?|(?P<v4>[0-9.]+):[0-9]{0,5}")
_MAX_LENGTH = 64
# How many proxies a request may have passed. What is left of them was not written by a trusted one.
_MAX_HOPS = 32


def parse_address(text: str) -> ClientAddress | None:
    """The address, or None if the text is none. Drops brackets, a port and a zone; an IPv4 address inside of an IPv6 one is IPv4."""
    text = text.strip()
    if len(text) > _MAX_LENGTH:
        return None
    if found := _WITH_PORT.fullmatch(text):
        text = found["v6"] or found["v4"] or ""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def peer_address(peer: str) -> ClientAddress:
    """The other end of a connection, from gRPC's notation: `ipv4:127.0.0.1:1234`. Raises ValueError if it has no address."""
    if (address := parse_address(unquote(peer.partition(":")[2]))) is None:
        raise ValueError(f"no network address: {peer}")
    return address


def nearest_untrusted(peer: ClientAddress, forwarded_for: str, trusted_proxies: Networks) -> ClientAddress:
    """The address nearest to the caller that the caller cannot have forged.

    peer: the other end of the connection
    forwarded_for: the value of `X-Forwarded-For`, to which each proxy appends the address of its client
    trusted_proxies: the networks of the proxies whose entries are believed
    """
    nearest = peer
    hops = forwarded_for.rsplit(",", _MAX_HOPS)
    while hops and any(nearest in network for network in trusted_proxies):
        hop = parse_address(hops.pop())
        if hop is None:
            break
        nearest = hop
    return nearest


def counted_network(address: ClientAddress) -> str:
    """Where limits count an address: itself for IPv4, its network of 64 bits for IPv6."""
    return str(IPv6Network((address, _CLIENT_PREFIX_BITS), strict=False) if isinstance(address, IPv6Address) else address)
