"""The gateway as a process of its own, before a service that answers what it was asked."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest

from gateway.contract import Contract
from tests.engines import free_port
from tests.gateway.everything import EverythingServer, descriptors
from tests.loops import Loop, running_loop


@pytest.fixture(scope="session")
def contract(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    """The contracts of the shop, and one with every shape that there is."""
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
    everything = tmp_path_factory.mktemp("gateway") / "descriptors.binpb"
    everything.write_bytes(contract.files.SerializeToString())
    address, port = f"127.0.0.1:{service.port}", free_port()
    settings = {"LISTEN": f"127.0.0.1:{port}", "WORKERS": "1", "DESCRIPTORS": str(everything), "HEARTBEAT_SECONDS": "0.3"}
    settings |= {"AUTH_ADDRESS": address, "CATALOG_ADDRESS": address, "TRUSTED_PROXIES": '["10.0.0.0/8", "127.0.0.0/8"]'}
    environment = os.environ | {f"GATEWAY_{name}": value for name, value in settings.items()}
    environment |= {"MESH_DEADLINE_SECONDS": "5", "MESH_STREAM_IDLE_SECONDS": "2"}
    environment |= {"MESH_METRICS_LISTEN": metrics_url.removeprefix("http://")}
    with subprocess.Popen([sys.executable, "-m", "gateway"], env=environment) as process:
        url = f"http://127.0.0.1:{port}"
        try:
            wait_until_up(url)
            yield url
        finally:
            process.terminate()


def wait_until_up(url: str) -> None:
    for _ in range(200):
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
