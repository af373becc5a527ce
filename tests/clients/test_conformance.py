"""The clients of all languages do the same: `make test-clients`.

Each runs the same walk through the services, without TLS and with it, and its document is compared with that of Python.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from clients.build import CLIENTS, Client, same_files
from tests.clients.mesh import EMAIL, PASSWORD, client_environment, install_forecaster, stack_addresses, tls_mesh
from tests.e2e.stack import ROOT, Stack, own_stack, running

pytestmark = [pytest.mark.clients, pytest.mark.engine]

WALK_SECONDS = 180
# A crate of a user of the library.
CRATE = """[package]
name = "first"
edition = "2024"

[dependencies]
hashiramart = {{ path = "{folder}" }}
tokio = {{ version = "1", features = ["macros", "rt"] }}
tonic = {{ version = "0.14", default-features = false, features = ["channel"] }}
"""
# The first walk may come before the recommender has received the products.
READY_SECONDS = 60
WALKERS = [client for client in CLIENTS if client.example]
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


@dataclass(frozen=True)
class Mesh:
    """Services as a client sees them."""

    variables: Mapping[str, str]
    """The environment of a client's program."""
    reference: Document
    """The document of Python's walk."""


@pytest.fixture(scope="module")
def plaintext(stack: Stack) -> Mesh:
    """The services of the stack."""
    variables = client_environment(stack_addresses(stack))
    return Mesh(variables, reference(variables))


@pytest.fixture(scope="module")
def tls(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    """Replicas of them that speak TLS."""
    with tls_mesh(stack, tmp_path_factory.mktemp("tls")) as (addresses, files):
        variables = client_environment(addresses, files)
        yield Mesh(variables, reference(variables))


@pytest.fixture(params=["plaintext", "tls"])
def mesh(request: pytest.FixtureRequest) -> Mesh:
    """Both in turn; each is started once."""
    mesh: Mesh = request.getfixturevalue(request.param)
    return mesh


@pytest.fixture(scope="module", params=WALKERS, ids=[client.language for client in WALKERS])
def client(request: pytest.FixtureRequest) -> Client:
    """The client of a language, built of the code that git has, if its toolchain is on this machine."""
    client: Client = request.param
    if problem := client.problem():
        pytest.skip(problem)
    client.install_plugins()
    if not client.committed:
        client.refresh()
    client.compile()
    return client


def reference(variables: Mapping[str, str]) -> Document:
    """The document of Python's walk, once there are recommendations."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        document = walk([sys.executable, "example.py"], ROOT / "clients" / "python", {**os.environ, **variables})
        if document["recommendations"] == {"count": 3} or time.monotonic() > deadline:
            return document
        time.sleep(0.5)


def documented(language: str, address: str) -> str:
    """The program of docs/grpc.md in a language, with another address of the catalog."""
    text = (ROOT / "docs" / "grpc.md").read_text()
    [program] = re.findall(rf"```{language.lower()}\n(.*?)```", text, re.DOTALL)
    return str(program).replace("127.0.0.1:50052", address)


def first_call(client: Client, place: Path, address: str) -> tuple[str, ...]:
    """Writes a language's program of docs/grpc.md; returns the command that runs it in the client's folder."""
    program = documented(client.language, address)
    match client.language:
        case "Go":
            (place / "main.go").write_text(program)
            return ("go", "run", str(place / "main.go"))
        case "Java":
            (place / "First.java").write_text(program)
            return ("java", "-cp", "target/classes:target/lib/*", str(place / "First.java"))
        case "Rust":
            (place / "src").mkdir()
            (place / "src" / "main.rs").write_text(program)
            (place / "Cargo.toml").write_text(CRATE.format(folder=client.folder))
            shutil.copy(client.folder / "Cargo.lock", place)
            return ("cargo", "run", "--quiet", "--offline", "--manifest-path", str(place / "Cargo.toml"))
        case "TypeScript":
            # A package may import itself by its name.
            (client.folder / "dist" / "first.js").write_text(program)
            return ("node", "dist/first.js")
    raise ValueError(client.language)


def output(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> str:
    """What a client's program prints."""
    process = subprocess.run(command, check=False, cwd=folder, env=environment, capture_output=True, text=True, timeout=WALK_SECONDS)
    assert process.returncode == 0, process.stderr
    return process.stdout


def walk(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Document:
    """The document that a client's walk prints, without the deadline's reason: a service gives one, a client that is earlier none."""
    document: Document = json.loads(output(command, folder, environment))
    assert document["deadline"].pop("reason") in ("", "DEADLINE_EXCEEDED")
    return document


def test_the_walk_of_python_reaches_everything(mesh: Mesh) -> None:
    document = mesh.reference
    assert document["import"] == {"row_count": 3, "failed_count": 0}
    assert document["products"] == {"ids": ["conformance-1", "conformance-2", "conformance-3"]}
    assert (document["recommendations"], document["forecast"]) == ({"count": 3}, {"days": 7})
    assert document["job"] == {"submitted_once": True, "cancelled": True, "ended": True}
    assert (document["error"]["code"], document["error"]["reason"]) == ("NOT_FOUND", "PRODUCT_NOT_FOUND")
    assert (document["invalid"]["reason"], document["invalid"]["fields"]) == ("INVALID_REQUEST", ["id"])
    assert document["deadline"]["code"] == "DEADLINE_EXCEEDED"


def test_the_generated_code_is_that_of_the_contracts(client: Client, tmp_path: Path) -> None:
    fresh = client.generate(tmp_path / "first")
    assert same_files(fresh, client.generate(tmp_path / "second"))
    assert same_files(fresh, client.generated), f"{client.generated} is stale: run `make clients`"


def test_each_language_walks_as_python_does(client: Client, mesh: Mesh) -> None:
    assert client.example is not None
    assert walk(client.example, client.folder, {**client.environment(), **mesh.variables}) == mesh.reference


def test_pythons_first_call_of_the_documentation(plaintext: Mesh) -> None:
    program = documented("Python", plaintext.variables["HASHIRAMART_CATALOG"])
    assert output((sys.executable, "-c", program), ROOT, os.environ).startswith("Conformance ")


def test_the_first_calls_of_the_documentation(client: Client, plaintext: Mesh, tmp_path: Path) -> None:
    command = first_call(client, tmp_path, plaintext.variables["HASHIRAMART_CATALOG"])
    assert output(command, client.folder, client.environment()).startswith("Conformance ")
