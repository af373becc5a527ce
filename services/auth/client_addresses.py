"""Notices when all callers seem to have one address, since a proxy is not known as such."""

import structlog

from mesh.client_address import ClientAddress

# So many calls from one address alone are no coincidence.
_CALLS = 50

_log = structlog.get_logger(__name__)


class ClientAddresses:
    """Warns once if all callers share one private address: then they share the limits on sign-ins too."""

    def __init__(self) -> None:
        self._only: ClientAddress | None = None
        self._calls = 0
        self._is_settled = False

    def note(self, address: ClientAddress) -> None:
        """Takes notice of the address of a call that counts against limits."""
        if self._is_settled:
            return
        self._only = self._only or address
        self._calls += 1
        if address != self._only or not address.is_private or address.is_loopback:
            self._is_settled = True
        elif self._calls == _CALLS:
            self._is_settled = True
            _log.warning(
                "all sign-ins come from one private address, and share its limit: is a proxy missing in GATEWAY_TRUSTED_PROXIES?",
                address=str(address),
            )
