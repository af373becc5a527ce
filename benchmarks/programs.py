"""The Go programs beside ours: a grpc-gateway of the same contracts, a backend in memory, and what puts load on a server.

python -m benchmarks.programs    build them, and say where they are
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
# The module of the sources, where the contracts' generated Go joins them.
MODULE = "hashiramart/peer"
PLUGINS = {"go": "protoc-gen-go", "go-grpc": "protoc-gen-go-grpc", "grpc-gateway": "protoc-gen-grpc-gateway"}


def built() -> Path:
    """The folder of `gateway`, `backend` and `load`, built when their sources or the contracts have changed since the last time."""
    sources = sorted(path for path in SOURCES.rglob("*") if path.is_file())
    content = hashlib.sha256(CONTRACTS.read_bytes())
    for path in (*sources, Path(__file__)):
        content.update(path.read_bytes())
    programs = BUILDS / content.hexdigest()[:16]
    if not programs.exists():
        BUILDS.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="peer-", dir=BUILDS.parent) as folder:
            workshop = Path(folder) / "sources"
            shutil.copytree(SOURCES, workshop)
            build(workshop)
            for old in BUILDS.iterdir():
                shutil.rmtree(old)
            # All programs appear at once, so that a build that was interrupted is not taken for one.
            (workshop / "bin").rename(programs)
    return programs


def build(folder: Path) -> None:
    """Writes the contracts as Go into a copy of the sources, and compiles all to its `bin`."""
    go = shutil.which("go") or str(Path(sys.executable).with_name("go"))
    tools = folder / "tools"
    run("build the generators of Go", [go, "install", "tool"], folder, GOBIN=str(tools))

    contracts = folder / "contracts.binpb"
    ours = ordered(contracts)
    # The contracts name no Go package, for no Go program of ours is built from them but these.
    packages = ",".join(f"M{name}={MODULE}/contracts/{Path(name).parent}" for name in ours)
    outputs = [f"--{plugin}_out=module={MODULE},{packages}:{folder}" for plugin in PLUGINS]
    plugins = [f"--plugin={program}={tools / program}" for program in PLUGINS.values()]
    protoc = [sys.executable, "-m", "grpc_tools.protoc", f"--descriptor_set_in={contracts}"]
    run("write the contracts as Go", [*protoc, *plugins, *outputs, *ours], folder)
    run("compile the Go programs", [go, "build", "-trimpath", "-o", f"{folder / 'bin'}/", "./gateway", "./backend", "./load"], folder)


def ordered(into: Path) -> list[str]:
    """Copies the contracts, with methods on paths without variables last, and returns the names of the files to write as Go.

    Where two paths fit, grpc-gateway takes the one that comes later in its service, and so `/users/{id}` in place of `/users/me`.
    """
    contracts = FileDescriptorSet.FromString(CONTRACTS.read_bytes())
    for file in contracts.file:
        # Comments are found by the place of what they belong to.
        file.ClearField("source_code_info")
        for service in file.service:
            service.method.sort(key=lambda method: "{" not in str(method.options.Extensions[annotations_pb2.http]))
    into.write_bytes(contracts.SerializeToString())
    return [file.name for file in contracts.file if file.name.startswith(("hashiramart/", "buf/"))]


def run(purpose: str, command: list[str], folder: Path, **environment: str) -> None:
    """Runs a command and says so; ends the program with one sentence when it fails."""
    print(f"peer: {purpose}", file=sys.stderr, flush=True)
    if subprocess.run(command, check=False, cwd=folder, env=os.environ | environment, stdout=sys.stderr).returncode:
        raise RuntimeError(f"could not {purpose}; the lines above say why")


if __name__ == "__main__":
    print(built())
