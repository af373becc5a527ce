"""Addresses as gRPC writes them: `dns:///host:port`, `ipv4:host:port,host:port`, `ipv6:[host]:port`, `unix:path`."""

import asyncio
import socket
from typing import NamedTuple
from urllib.parse import quote, unquote


class Address(NamedTuple):
    """Where to connect."""

    host: str
    port: int
    path: str = ""
    """Of a Unix socket, which has no host and port."""


class Target(NamedTuple):
    """What a channel connects to."""

    scheme: str
    endpoints: tuple[Address, ...]
    authority: str
    """The name that the peer is called by, and has to prove under TLS."""

    async def resolve(self) -> list[Address]:
        """Every address behind it. Raises `OSError` if a name has none."""
        if self.scheme != "dns":
            return list(self.endpoints)
        loop, (host, port, _) = asyncio.get_running_loop(), self.endpoints[0]
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(Address(str(address[0]), port) for *_, address in found))


def parse_target(target: str) -> Target:
    """Raises `ValueError` if it is not in gRPC's notation."""
    scheme, _, rest = target.partition(":")
    if scheme == "unix":
        return Target(scheme, (Address("", 0, rest.removeprefix("//")),), "localhost")
    if scheme not in ("dns", "ipv4", "ipv6"):
        scheme, rest = "dns", target
    if rest.startswith("//"):
        rest = rest.removeprefix("//").partition("/")[2]
    texts = rest.split(",") if scheme != "dns" else [rest]
    endpoints = tuple(_host_and_port(text) for text in texts)
    return Target(scheme, endpoints, unquote(texts[0]))


def listening_sockets(address: str) -> list[socket.socket]:
    """Sockets at every address behind `host:port`. Raises `OSError` if one is taken."""
    host, port, _ = _host_and_port(address)
    sockets: list[socket.socket] = []
    try:
        for family, *_, place in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE):
            # Where there is no port yet, the first socket chooses it for all.
            port = port or (sockets[0].getsockname()[1] if sockets else 0)
            both = family == socket.AF_INET6 and host == "::"
            sockets.append(socket.create_server((place[0], port), family=family, backlog=1024, dualstack_ipv6=both))
    except OSError:
        for opened in sockets:
            opened.close()
        raise
    return sockets


def peer_name(name: object) -> str:
    """The other end of a socket, as gRPC writes it: `ipv4:127.0.0.1:1234`, `ipv6:%5B::1%5D:1234`, `unix:`."""
    if not isinstance(name, tuple):
        return "unix:"
    host, port = str(name[0]), name[1]
    return f"ipv6:{quote(f'[{host}]', safe=':')}:{port}" if ":" in host else f"ipv4:{host}:{port}"


def _host_and_port(text: str) -> Address:
    host, _, port = text.rpartition(":")
    if not port.isdigit():
        raise ValueError(f"{text!r} is not host:port")
    return Address(host.strip("[]"), int(port))
