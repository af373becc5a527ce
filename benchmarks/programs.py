"""The Go programs of the benchmarks: a grpc-gateway of the same contracts, an in-memory backend, and the load generator.

python -m benchmarks.programs    builds them and prints their folder
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from google.api import annotations_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorSet

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "benchmarks" / "peer"
CONTRACTS = ROOT / "gen" / "descriptors.binpb"
BUILDS = ROOT / ".local" / "peer"
# The Go module of the sources, to which the generated code of the contracts is added.
MODULE = "hashiramart/peer"
PLUGINS = {"go": "protoc-gen-go", "go-grpc": "protoc-gen-go-grpc", "grpc-gateway": "protoc-gen-grpc-gateway"}


def build() -> Path:
    """Builds `gateway`, `backend` and `load` unless that has been done for these sources and contracts; returns their folder."""
    sources = sorted(path for path in SOURCES.rglob("*") if path.is_file())
    content = hashlib.sha256(CONTRACTS.read_bytes())
    for path in (*sources, Path(__file__)):
        content.update(path.read_bytes())
    programs = BUILDS / content.hexdigest()[:16]
    if not programs.exists():
        BUILDS.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="peer-", dir=BUILDS.parent) as folder:
            copy = Path(folder) / "sources"
            shutil.copytree(SOURCES, copy)
            _compile(copy)
            for old in BUILDS.iterdir():
                shutil.rmtree(old)
            # All programs appear at once, so that an interrupted build is not taken for a complete one.
            (copy / "bin").rename(programs)
    return programs


def _compile(folder: Path) -> None:
    """Generates Go code from the contracts in a copy of the sources, and compiles all programs to its `bin`."""
    go = shutil.which("go") or str(Path(sys.executable).with_name("go"))
    tools = folder / "tools"
    _run("build the Go code generators", [go, "install", "tool"], folder, GOBIN=str(tools))

    contracts = folder / "contracts.binpb"
    names = _write_ordered(contracts)
    # The contracts have no Go package option, as only these programs are generated from them.
    packages = ",".join(f"M{name}={MODULE}/contracts/{Path(name).parent}" for name in names)
    outputs = [f"--{plugin}_out=module={MODULE},{packages}:{folder}" for plugin in PLUGINS]
    plugins = [f"--plugin={program}={tools / program}" for program in PLUGINS.values()]
    protoc = [sys.executable, "-m", "grpc_tools.protoc", f"--descriptor_set_in={contracts}"]
    _run("generate Go code from the contracts", [*protoc, *plugins, *outputs, *names], folder)
    _write_services(folder / "gateway" / "services.go")
    _run("compile the Go programs", [go, "build", "-trimpath", "-o", f"{folder / 'bin'}/", "./gateway", "./backend", "./load"], folder)


def _write_ordered(into: Path) -> list[str]:
    """Writes the contracts with methods on paths without variables last; returns the names of the files to generate code from.

    If two paths match, grpc-gateway takes the one that is later in its service: `/users/{id}` instead of `/users/me` otherwise.
    """
    contracts = FileDescriptorSet.FromString(CONTRACTS.read_bytes())
    for file in contracts.file:
        # Comments refer to the positions of methods, which change.
        file.ClearField("source_code_info")
        for service in file.service:
            service.method.sort(key=lambda method: "{" not in str(method.options.Extensions[annotations_pb2.http]))
    into.write_bytes(contracts.SerializeToString())
    return [file.name for file in contracts.file if file.name.startswith(("hashiramart/", "buf/"))]


def _write_services(into: Path) -> None:
    """Writes the list of all services that have a path, which the gateway registers."""
    contracts = FileDescriptorSet.FromString(CONTRACTS.read_bytes())
    imports, services = {}, []
    for file in contracts.file:
        for service in file.service:
            if any(method.options.HasExtension(annotations_pb2.http) for method in service.method):
                package = file.package.replace(".", "_")
                imports[package] = f'import {package} "{MODULE}/contracts/{Path(file.name).parent}"'
                services.append(f"\t{package}.Register{service.name}Handler,")
    registered = "[]func(context.Context, *runtime.ServeMux, *grpc.ClientConn) error"
    libraries = ["context", "github.com/grpc-ecosystem/grpc-gateway/v2/runtime", "google.golang.org/grpc"]
    lines = ["package main", *(f'import "{library}"' for library in libraries), *imports.values()]
    into.write_text("\n".join([*lines, f"var services = {registered}{{", *services, "}", ""]))


def _run(purpose: str, command: list[str], folder: Path, **environment: str) -> None:
    """Prints the purpose of a command and runs it; raises an error if it fails."""
    print(f"peer: {purpose}", file=sys.stderr, flush=True)
    if subprocess.run(command, check=False, cwd=folder, env=os.environ | environment, stdout=sys.stderr).returncode:
        raise RuntimeError(f"could not {purpose}; the lines above say why")


if __name__ == "__main__":
    print(build())
