"""A mesh for clients of any language: how its services are reached, and a second one beside a stack that speaks TLS."""

import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from hashiramart_client import Tls, open_channel
from mesh.certificates import issue
from ml.forecaster.train import refit
from ml.registry.version import CHAMPION, ModelVersion
from tests.e2e.stack import ROOT, Stack
from tests.engines.engine import Engine
from tests.engines.ports import free_port
from tests.ml.forecaster.shop import SMALL, write_shop
from tests.ml.model_registry import provenance

SERVICES = ("auth", "catalog", "recommender", "forecaster", "jobs")
EMAIL, PASSWORD = "staff@example.com", "correct horse battery"


def client_environment(addresses: Mapping[str, str], tls: Tls | None = None) -> dict[str, str]:
    """The variables by which the clients' programs find the services, sign in and speak TLS."""
    variables = {f"HASHIRAMART_{name.upper()}": address for name, address in addresses.items()}
    files = {} if tls is None else {"CA": tls.ca, "CERTIFICATE": tls.certificate, "KEY": tls.key}
    variables |= {f"HASHIRAMART_TLS_{name}": str(path) for name, path in files.items()}
    return variables | {"HASHIRAMART_EMAIL": EMAIL, "HASHIRAMART_PASSWORD": PASSWORD}


def stack_addresses(stack: Stack) -> dict[str, str]:
    return {name: f"127.0.0.1:{stack.environment[f'{name.upper()}_PORT']}" for name in SERVICES}


def install_forecaster(stack: Stack) -> Path:
    """Trains a small forecaster that a stack which is not up yet will serve; returns its folder. There needs to be no registry."""
    folder = stack.folder / "data" / "forecaster"
    saved = stack.folder / "trained"
    refit(write_shop(stack.folder / "shop"), SMALL).save(saved)
    origin = provenance(saved)
    version = ModelVersion(
        number="1", aliases=(CHAMPION,), create_time=datetime.now(UTC), run_id="", run_url="", artifact_path="", provenance=origin
    )
    shutil.copytree(saved, folder / origin.artifact_sha256)
    (folder / "served.json").write_text(version.model_dump_json())
    return folder


@contextmanager
def tls_mesh(stack: Stack, folder: Path) -> Iterator[tuple[dict[str, str], Tls]]:
    """Replicas of a stack's services that accept only TLS, and only clients with a certificate: their addresses, and a client's files."""
    certificates = folder / "certificates"
    issue(certificates)
    tls = Tls(certificates / "ca.crt", certificates / "gateway.crt", certificates / "gateway.key")
    addresses = {name: f"127.0.0.1:{free_port()}" for name in SERVICES}
    shutil.copytree(stack.folder / "data" / "forecaster", folder / "forecaster")
    with ExitStack() as replicas:
        for name, address in addresses.items():
            variables = {
                f"{name.upper()}_LISTEN": address,
                f"{name.upper()}_MODEL_FOLDER": str(folder / name),
                "MESH_AUTH_ADDRESS": addresses["auth"],
                "MESH_TLS_CERTIFICATE": str(certificates / f"{name}.crt"),
                "MESH_TLS_KEY": str(certificates / f"{name}.key"),
                "MESH_TLS_CA": str(certificates / "ca.crt"),
                "AUTH_RECOMMENDER_ADDRESS": addresses["recommender"],
                "RECOMMENDER_CATALOG_ADDRESS": addresses["catalog"],
            }
            settings = [f"{variable}={value}" for variable, value in variables.items()]
            command = [sys.executable, "-m", "stack", "run", name, "env", *settings, sys.executable, "-m", f"services.{name}"]
            place = folder / f"{name}-process"
            place.mkdir()
            environment = {**stack.environment, "PYTHONPATH": str(ROOT)}
            replicas.enter_context(Engine(place, command, partial(_serves, address, tls), environment))
        yield addresses, tls


def _serves(address: str, tls: Tls) -> bool:
    """Whether the service at an address is healthy."""
    with open_channel(address, tls=tls) as channel:
        try:
            check = HealthStub(channel).Check  # type: ignore[attr-defined]  # its types leave the methods out
            response: HealthCheckResponse = check(HealthCheckRequest(), timeout=2)
        except grpc.RpcError:
            return False
    return response.status == HealthCheckResponse.SERVING
