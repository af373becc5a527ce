"""Access tokens that are revoked before they expire."""

from collections.abc import Mapping
from types import MappingProxyType

import grpc.aio

from hashiramart.auth.v1 import auth_pb2, auth_pb2_grpc

_TIMEOUT_SECONDS = 3


class RevokedTokens:
    """The revocations that this process knows. They stay until `replace` replaces them."""

    def __init__(self) -> None:
        self._not_before: Mapping[str, float] = MappingProxyType({})

    def replace(self, not_before: Mapping[str, float]) -> None:
        """Replaces all revocations.

        not_before: by subject (a user, a sign-in or a signing key), the Unix time before which tokens are not valid
        """
        self._not_before = not_before

    def include(self, issue_time: float, *subjects: str) -> bool:
        """Whether a token of these subjects, issued at this Unix time, is revoked."""
        return any(issue_time < self._not_before.get(subject, 0) for subject in subjects)


class RemoteRevocations(RevokedTokens):
    """The revocations that auth lists.

    auth: a channel whose calls are those of this service
    """

    def __init__(self, auth: grpc.aio.Channel) -> None:
        super().__init__()
        self._auth = auth_pb2_grpc.AuthServiceStub(auth)

    async def read(self) -> None:
        """Reads them. Raises `AioRpcError`; those that are known go on to apply."""
        response = await self._auth.GetRevocations(auth_pb2.GetRevocationsRequest(), timeout=_TIMEOUT_SECONDS)
        self.replace({entry.subject: entry.not_before_time.ToMicroseconds() / 1e6 for entry in response.revocations})
