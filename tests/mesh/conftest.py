"""The fixtures of the mesh's tests."""

import logging
from collections.abc import AsyncIterator, Iterator

import pytest
import structlog

from mesh.settings import MeshSettings
from tests.callers import Issuer


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
async def one_loop(anyio_backend: str) -> AsyncIterator[None]:
    """All tests run on one event loop: gRPC has one poller for all loops, which may hold a last event for one that was closed."""
    yield


@pytest.fixture(scope="session")
def settings() -> MeshSettings:
    return MeshSettings(drain_delay_seconds=0, grace_seconds=1)


@pytest.fixture(scope="session")
def issuer(settings: MeshSettings) -> Issuer:
    return Issuer(settings)


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """Restores the logging that a test has changed by starting telemetry."""
    before = logging.getLogger().handlers
    yield
    logging.getLogger().handlers = before
    structlog.reset_defaults()
