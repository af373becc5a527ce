"""Who a request counts for: its client's address, and the subject of its token."""

from functools import lru_cache

from gateway.exchange import Exchange
from gateway.tokens import ReadToken, read_token
from mesh.client_address import Networks, counted_network, parse_address

_CACHED = 4096


class Callers:
    """Names those who limits count."""

    def __init__(self, trusted_proxies: Networks) -> None:
        self._trusted_proxies = trusted_proxies
        self._address = lru_cache(_CACHED)(self._counted_address)

    def address(self, exchange: Exchange) -> str:
        """Where the client's address counts; empty for one that does not: a proxy's, or this machine's, which has the calls of many."""
        return self._address(exchange.client)

    def subject(self, exchange: Exchange) -> str:
        """The subject of the request's token if a service has accepted that token before; empty otherwise."""
        token = self.token(exchange)
        return token.subject if token and token.proven else ""

    @staticmethod
    def token(exchange: Exchange) -> ReadToken | None:
        return read_token(exchange.headers.get(b"authorization", b""))

    def _counted_address(self, client: str) -> str:
        address = parse_address(client)
        if address is None or address.is_loopback or any(address in network for network in self._trusted_proxies):
            return ""
        return counted_network(address)
