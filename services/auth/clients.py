"""Where a call comes from."""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import unquote

from services.auth.throttle import Client

Networks = Sequence[IPv4Network | IPv6Network]


def client_of(peer: str, forwarded_for: str, trusted: Networks) -> Client:
    """The address nearest to the caller that the caller cannot have made up.

    peer: the other end of the connection, as gRPC writes it
    forwarded_for: the value of `x-forwarded-for`, to which each proxy adds at the end whom it serves
    trusted: the proxies that do so truthfully
    """
    nearest = _address(unquote(peer.partition(":")[2]).rpartition(":")[0].strip("[]"))
    hops = forwarded_for.split(",")
    while hops and any(nearest in network for network in trusted):
        try:
            nearest = _address(hops.pop().strip())
        except ValueError:
            break
    return nearest


def _address(text: str) -> Client:
    address = ip_address(text)
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
