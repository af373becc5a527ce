"""A replica of a service as a process of its own: `python -m tests.mesh.replica PORT`.

It serves IssueToken, a public call that is not idempotent, and takes a moment for each.
"""

import asyncio
import sys

from hashiramart.auth.v1 import auth_pb2, auth_pb2_grpc
from mesh import telemetry
from mesh.identity import TokenVerifier
from mesh.server import Server, serve
from mesh.settings import MeshSettings
from tests.callers import Issuer
from tests.mesh.shop import Context


class Auth(auth_pb2_grpc.AuthServiceServicer):
    """Issues tokens without content."""

    async def IssueToken(self, request: auth_pb2.IssueTokenRequest, context: Context) -> auth_pb2.Token:  # noqa: N802
        await asyncio.sleep(0.02)
        return auth_pb2.Token(token_type="Bearer")


async def main() -> None:
    settings = MeshSettings()
    telemetry.start("replica", settings)
    server = Server(f"127.0.0.1:{sys.argv[1]}", settings, TokenVerifier("", "", Issuer(settings)))
    auth_pb2_grpc.add_AuthServiceServicer_to_server(Auth(), server)  # type: ignore[abstract]  # no more of it is needed
    await serve(server)


if __name__ == "__main__":
    asyncio.run(main())
