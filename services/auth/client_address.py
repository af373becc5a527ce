"""The network address that a call comes from."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import unquote

ClientAddress = IPv4Address | IPv6Address
Networks = Sequence[IPv4Network | IPv6Network]


def client_address(peer: str, forwarded_for: str, trusted: Networks) -> ClientAddress:
    """The address nearest to the caller that the caller cannot have forged.

    peer: the other end of the connection, in gRPC's notation: `ipv4:127.0.0.1:1234`
    forwarded_for: the value of `x-forwarded-for`, to which each proxy appends the address of its client
    trusted: the proxies whose entries are believed
    """
    nearest = _parse(unquote(peer.partition(":")[2]).rpartition(":")[0].strip("[]"))
    hops = forwarded_for.split(",")
    while hops and any(nearest in network for network in trusted):
        try:
            nearest = _parse(hops.pop().strip())
        except ValueError:
            break
    return nearest


def _parse(text: str) -> ClientAddress:
    address = ip_address(text)
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
