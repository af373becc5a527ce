"""Fixtures that serve the servicer of a test module.

A module defines `grpc_add_to_server`, `grpc_servicer` and `grpc_stub_cls`, as pytest-grpc documents them, and uses `grpc_stub`. The
servicer is async: its parts are built on `loop`, on which it is also served.
"""

from collections.abc import Callable, Iterator, Sequence

import pytest

from mesh.health import Check
from mesh.identity import Keys, TokenVerifier
from mesh.server import Server
from mesh.settings import MeshSettings
from tests.callers import Issuer
from tests.loops import Loop, running_loop


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    """The event loop on which the module's servicer is served."""
    with running_loop() as loop:
        yield loop


@pytest.fixture(scope="session")
def mesh_settings() -> MeshSettings:
    return MeshSettings(drain_delay_seconds=0, grace_seconds=1)


@pytest.fixture(scope="session")
def issuer(mesh_settings: MeshSettings) -> Issuer:
    """Issues the tokens of callers: `stub.GetThing(..., metadata=issuer.metadata(Role.STAFF))`."""
    return Issuer(mesh_settings)


@pytest.fixture(scope="module")
def grpc_keys(issuer: Issuer) -> Keys:
    """The keys by which tokens are verified. A module may override it."""
    return issuer


@pytest.fixture(scope="module")
def grpc_checks() -> Sequence[Check]:
    """The health checks of the server. A module may override it."""
    return ()


@pytest.fixture(scope="module")
def grpc_server(
    loop: Loop,
    mesh_settings: MeshSettings,
    grpc_keys: Keys,
    grpc_checks: Sequence[Check],
    grpc_add_to_server: Callable[[object, Server], None],
    grpc_servicer: object,
) -> Iterator[Server]:
    """The server of the mesh, in place of that of pytest-grpc, which serves sync servicers."""
    verifier = TokenVerifier(mesh_settings.jwt_issuer, mesh_settings.jwt_audience, grpc_keys)

    async def start() -> Server:
        server = Server("127.0.0.1:0", mesh_settings, verifier, grpc_checks)
        grpc_add_to_server(grpc_servicer, server)
        await server.start()
        return server

    server = loop.run(start())
    yield server
    loop.run(server.stop(mesh_settings.grace_seconds))


@pytest.fixture(scope="module")
def grpc_addr(grpc_server: Server) -> str:
    return f"127.0.0.1:{grpc_server.port}"
