"""The clients of all languages do the same: `make test-clients`.

Each runs the same walk through the services, without TLS and with it, and its document is compared with that of Python.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from clients.build import CLIENTS, Client, environment, same_files
from tests.clients.mesh import EMAIL, PASSWORD, client_environment, install_forecaster, stack_addresses, tls_mesh
from tests.e2e.stack import ROOT, Stack, own_stack, running

pytestmark = [pytest.mark.clients, pytest.mark.engine]

WALK_SECONDS = 180
# The first walk may come before the recommender has received the products.
READY_SECONDS = 60
Document = dict[str, Any]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The services with a forecaster, and an account of staff."""
    own = own_stack(tmp_path_factory.mktemp("stack"))
    install_forecaster(own)
    with running(own) as stack:
        create_admin = [sys.executable, "-m", "services.auth.admin", "create-admin", "--email", EMAIL]
        created = stack.run("run", "auth", *create_admin, text=f"{PASSWORD}\n")
        assert created.returncode == 0, created.stderr
        yield stack


@pytest.fixture(scope="module", params=["plaintext", "tls"])
def variables(request: pytest.FixtureRequest, stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a client's program: for the services, and for replicas of them that speak TLS."""
    if request.param == "plaintext":
        yield client_environment(stack_addresses(stack))
    else:
        with tls_mesh(stack, tmp_path_factory.mktemp("tls")) as (addresses, tls):
            yield client_environment(addresses, tls)


@pytest.fixture(scope="module")
def reference(variables: dict[str, str]) -> Document:
    """The document of Python's walk, once there are recommendations."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        document = walk([sys.executable, "example.py"], ROOT / "clients" / "python", variables)
        if document["recommendations"] == {"count": 3} or time.monotonic() > deadline:
            return document
        time.sleep(0.5)


@pytest.fixture(scope="module", params=CLIENTS, ids=[client.language for client in CLIENTS])
def client(request: pytest.FixtureRequest) -> Client:
    """The client of a language with its generators, if they can be had on this machine."""
    client: Client = request.param
    if problem := client.problem():
        pytest.skip(problem)
    client.install_plugins()
    return client


def walk(command: list[str], folder: Path, variables: Mapping[str, str]) -> Document:
    """The document that a client's program prints."""
    process = subprocess.run(
        command, check=False, cwd=folder, env={**environment(), **variables}, capture_output=True, text=True, timeout=WALK_SECONDS
    )
    assert process.returncode == 0, process.stderr
    document: Document = json.loads(process.stdout)
    return document


def test_the_walk_of_python_reaches_everything(reference: Document) -> None:
    assert reference["import"] == {"row_count": 3, "failed_count": 0}
    assert reference["products"] == {"ids": ["conformance-1", "conformance-2", "conformance-3"]}
    assert (reference["recommendations"], reference["forecast"]) == ({"count": 3}, {"days": 7})
    assert reference["job"] == {"submitted_once": True, "cancelled": True, "ended": True}
    assert (reference["error"]["code"], reference["error"]["reason"]) == ("NOT_FOUND", "PRODUCT_NOT_FOUND")
    assert (reference["invalid"]["reason"], reference["invalid"]["fields"]) == ("INVALID_REQUEST", ["id"])
    assert reference["deadline"]["code"] == "DEADLINE_EXCEEDED"


def test_the_generated_code_is_that_of_the_contracts(client: Client, tmp_path: Path) -> None:
    fresh = client.generate(tmp_path / "first")
    assert same_files(fresh, client.generate(tmp_path / "second"))
    if client.committed:
        assert same_files(fresh, client.generated), f"{client.generated} is stale: run `make clients`"


def test_each_language_walks_as_python_does(client: Client, variables: dict[str, str], reference: Document) -> None:
    client.refresh()
    client.compile()
    assert walk(list(client.example), client.folder, variables) == reference
