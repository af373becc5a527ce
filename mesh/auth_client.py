"""What every service but auth itself needs of auth: verified callers, tokens of its own, and a place for audit events."""

import asyncio
from types import TracebackType
from typing import Self

from hashiramart.auth.v1 import auth_pb2
from mesh import channel
from mesh.audit import AuditTrail, remote_keeper
from mesh.identity import RemoteKeys, ServiceToken, TokenVerifier
from mesh.periodic import run_periodically
from mesh.revocations import RemoteRevocations
from mesh.settings import MeshSettings

_REVOCATION_SECONDS = 2


class AuthClient:
    """A service's connection to auth, open within `async with`.

    name: of the service
    secret: by which it authenticates
    """

    def __init__(self, name: str, secret: str, settings: MeshSettings) -> None:
        service = auth_pb2.DESCRIPTOR.services_by_name["AuthService"]
        self._anonymous = channel.connect(settings.auth_address, service, settings)
        self.proof = ServiceToken(self._anonymous, name, secret).proof
        """The metadata of the service's own calls."""
        self._own = channel.connect(settings.auth_address, service, settings, self.proof)
        self._revocations = RemoteRevocations(self._own)
        self.verifier = TokenVerifier(settings.jwt_issuer, settings.jwt_audience, RemoteKeys(self._anonymous), self._revocations)
        """Verifies the tokens of callers."""
        self.trail = AuditTrail(remote_keeper(self._own))
        """Takes the audit events of the service's calls, while `run` runs."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        await self._own.close()
        await self._anonymous.close()

    async def run(self) -> None:
        """Hands audit events over and reads revocations until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.trail.run())
            group.create_task(run_periodically(self._revocations.read, _REVOCATION_SECONDS))
