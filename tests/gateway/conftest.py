"""The gateway as a process, in front of a service that echoes requests."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import httpx
import pytest

from benchmarks.servers import serving
from gateway.contract import Contract
from tests.engines.ports import free_port
from tests.gateway.everything import EverythingServer, descriptors
from tests.gateway.referee import SERVICES, Backend
from tests.loops import Loop, running_loop


@pytest.fixture(scope="session")
def contract(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    """Our contracts, and one with every shape of binding and message."""
    return Contract(descriptors(tmp_path_factory.mktemp("descriptors")))


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    with running_loop() as loop:
        yield loop


@pytest.fixture(scope="module")
def service(contract: Contract, loop: Loop) -> Iterator[EverythingServer]:
    async def started() -> EverythingServer:
        server = EverythingServer(contract)
        await server.start()
        return server

    server = loop.run(started())
    yield server
    loop.run(server.stop())


@pytest.fixture(scope="module")
def metrics_url() -> str:
    return f"http://127.0.0.1:{free_port()}"


@pytest.fixture(scope="module")
def gateway_url(contract: Contract, service: EverythingServer, metrics_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    settings = {"GATEWAY_WORKERS": "1", "MESH_METRICS_LISTEN": metrics_url.removeprefix("http://")}
    with gateway(contract, service, tmp_path_factory.mktemp("gateway"), settings) as (url, _):
        yield url


@contextmanager
def gateway(
    contract: Contract, service: EverythingServer, folder: Path, settings: dict[str, str]
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A gateway in front of a service: its URL and its process."""
    descriptors = folder / "descriptors.binpb"
    descriptors.write_bytes(contract.files.SerializeToString())
    address, listen = f"127.0.0.1:{service.port}", f"127.0.0.1:{free_port()}"
    own = {"GATEWAY_LISTEN": listen, "GATEWAY_DESCRIPTORS": str(descriptors), "GATEWAY_HEARTBEAT_SECONDS": "0.3"}
    own |= {"GATEWAY_AUTH_ADDRESS": address, "GATEWAY_CATALOG_ADDRESS": address}
    own |= {"GATEWAY_TRUSTED_PROXIES": '["10.0.0.0/8", "127.0.0.0/8"]', "MESH_DEADLINE_SECONDS": "5", "MESH_STREAM_IDLE_SECONDS": "2"}
    with subprocess.Popen([sys.executable, "-m", "gateway"], env=os.environ | own | settings) as process:
        try:
            wait_until_up(f"http://{listen}")
            yield f"http://{listen}", process
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def backend() -> Iterator[tuple[Backend, str]]:
    """All services in one server, and the URL of a gateway in front of them."""
    backend = Backend()
    server = grpc.server(ThreadPoolExecutor(4), handlers=[backend])
    address, listen = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}", f"127.0.0.1:{free_port()}"
    server.start()
    settings = {f"GATEWAY_{service.upper()}_ADDRESS": address for service in SERVICES} | {"GATEWAY_LISTEN": listen, "GATEWAY_WORKERS": "1"}
    with serving([sys.executable, "-m", "gateway"], listen, settings):
        yield backend, f"http://{listen}/v1"
    server.stop(grace=None)


def wait_until_up(url: str) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            httpx.get(f"{url}/healthz")
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(url)


@pytest.fixture
def client(gateway_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway_url, timeout=20) as client:
        yield client
