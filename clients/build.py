"""Generates the code of the clients from the contracts and builds them: python -m clients.build

Python's is not among them: `make proto` generates it, and its wheel needs no other toolchain.

A language whose toolchain is not on this machine is skipped, and named. Generators are installed by each language's own package manager.
"""

import filecmp
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from stack.install import CACHE, ROOT, VENV

FOLDER = ROOT / "clients"
# Generates what the template beside a client says.
BUF = (str(VENV / "bin" / "buf"), "generate", "--output", "{into}")
NPM_CI = ("npm", "ci", "--no-audit", "--no-fund", "--loglevel=error")

Command = tuple[str, ...]


@dataclass(frozen=True)
class Tool:
    """A program of a toolchain."""

    name: str
    minor: tuple[int, int]
    """The oldest version, major and minor, with which a client was built."""
    question: str = "--version"

    def problem(self, search_path: str) -> str:
        """Why it cannot be used from a PATH; empty if it can."""
        path = shutil.which(self.name, path=search_path)
        if path is None:
            return f"there is no {self.name} on PATH"
        version = found_version(path, self.question)
        if version < self.minor:
            return f"{self.name} is {version[0]}.{version[1]}, and {self.minor[0]}.{self.minor[1]} or newer is needed"
        return ""


@dataclass(frozen=True)
class Client:
    """The client of one language. Its commands run in its folder."""

    language: str
    folder: Path
    tools: tuple[Tool, ...]
    generated: Path
    """The folder of generated code, which holds nothing else."""
    committed: bool
    """Whether git has the generated code."""
    generator: Command
    """Generates the code; `{into}` is another folder for the client, `{generated}` that of its generated code there."""
    plugins: tuple[Command, ...]
    """Install the generators."""
    build: tuple[Command, ...]
    example: Command | None
    """Prints the outcome of a walk through the services. None for a client of the REST API."""

    def problem(self, search_path: str | None = None) -> str:
        """Why it cannot be built on this machine; empty if it can."""
        path = search_path or self.environment()["PATH"]
        return "; ".join(filter(None, (tool.problem(path) for tool in self.tools)))

    def environment(self) -> dict[str, str]:
        """The environment of its commands: Go and Node from their wheels where the machine's are missing or too old."""
        machine, wheels = os.environ["PATH"], str(VENV / "bin")
        paths = (f"{machine}:{wheels}", f"{wheels}:{machine}")
        path = next((path for path in paths if not self.problem(path)), paths[0])
        # Rust's build folder is large, and is shared by all checkouts.
        target = os.environ.get("CARGO_TARGET_DIR") or str(CACHE / "clients-rust")
        return {**os.environ, "PATH": path, "CARGO_TARGET_DIR": target}

    def install_plugins(self) -> None:
        self._run(*self.plugins)

    def generate(self, into: Path) -> Path:
        """Writes the generated code of the contracts to another folder than the client's, and returns its folder there."""
        generated = into / self.generated.relative_to(self.folder)
        self._run(tuple(word.format(into=into, generated=generated) for word in self.generator))
        return generated

    def refresh(self) -> bool:
        """Generates the code anew. Returns whether that changed it."""
        with tempfile.TemporaryDirectory() as folder:
            fresh = self.generate(Path(folder))
            if same_files(fresh, self.generated):
                return False
            shutil.rmtree(self.generated, ignore_errors=True)
            shutil.copytree(fresh, self.generated)
        return True

    def compile(self) -> None:
        self._run(*self.build)

    def _run(self, *commands: Command) -> None:
        """Runs commands, whose output is shown. Exits with a message if one fails."""
        for command in commands:
            process = subprocess.run(command, check=False, cwd=self.folder, env=self.environment(), stdout=sys.stderr)
            if process.returncode:
                sys.exit(f"{self.language}: `{' '.join(command)}` failed in {self.folder}; the lines above say why.")


NODE = (Tool("node", (22, 18)), Tool("npm", (9, 0)))

CLIENTS = (
    Client(
        "Go",
        FOLDER / "go",
        (Tool("go", (1, 26), "version"),),
        FOLDER / "go" / "gen",
        committed=True,
        generator=BUF,
        plugins=(("go", "-C", "tools", "mod", "download"),),
        build=(("go", "build", "./..."), ("go", "vet", "./cmd/...")),
        example=("go", "run", "./cmd/example"),
    ),
    Client(
        "Java",
        FOLDER / "java",
        (Tool("javac", (17, 0)), Tool("mvn", (3, 6))),
        FOLDER / "java" / "gen",
        committed=False,
        generator=BUF,
        plugins=(
            ("mvn", "--batch-mode", "--quiet", "-Dstyle.color=never", "dependency:copy@generators"),
            ("chmod", "+x", "target/generators/protoc", "target/generators/protoc-gen-grpc-java"),
        ),
        build=(("mvn", "--batch-mode", "--quiet", "-Dstyle.color=never", "package"),),
        example=("java", "-cp", "target/classes:target/lib/*", "com.hashiramart.example.Example"),
    ),
    Client(
        "Rust",
        FOLDER / "rust",
        (Tool("cargo", (1, 88)),),
        FOLDER / "rust" / "src" / "gen",
        committed=True,
        generator=("cargo", "run", "--quiet", "--locked", "--package", "generate", "--", "../../gen/descriptors.binpb", "{generated}"),
        plugins=(),
        build=(("cargo", "build", "--quiet", "--locked", "--examples"),),
        example=("cargo", "run", "--quiet", "--locked", "--example", "walk"),
    ),
    Client(
        "TypeScript",
        FOLDER / "typescript" / "node",
        NODE,
        FOLDER / "typescript" / "node" / "src" / "gen",
        committed=True,
        generator=BUF,
        plugins=(NPM_CI,),
        build=(("npm", "run", "--silent", "build"),),
        example=("node", "dist/example.js"),
    ),
    Client(
        "TypeScript for browsers",
        FOLDER / "typescript" / "web",
        NODE,
        FOLDER / "typescript" / "web" / "src" / "gen",
        committed=False,
        generator=("npm", "run", "--silent", "generate", "--", "--output", "{generated}"),
        plugins=(NPM_CI,),
        build=(("npm", "run", "--silent", "build"),),
        example=None,
    ),
)


@cache
def found_version(path: str, question: str) -> tuple[int, int]:
    """The major and minor version that a program says it has; zeros if it says none."""
    process = subprocess.run([path, question], check=False, capture_output=True, text=True, cwd="/")
    version = re.search(r"(\d+)\.(\d+)", process.stdout + process.stderr)
    return (int(version[1]), int(version[2])) if version else (0, 0)


def same_files(left: Path, right: Path) -> bool:
    """Whether two folders hold the same files with the same content."""
    names = [{str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} for folder in (left, right)]
    return names[0] == names[1] and filecmp.cmpfiles(left, right, names[0], shallow=False)[1:] == ([], [])


def build_all(clients: Iterable[Client]) -> None:
    """Generates and builds clients, and prints a line for each."""
    for client in clients:
        if problem := client.problem():
            print(f"{client.language}: skipped, {problem}", flush=True)
            continue
        client.install_plugins()
        changed = client.refresh()
        client.compile()
        print(f"{client.language}: {'generated anew and built' if changed else 'built'}", flush=True)


if __name__ == "__main__":
    build_all(CLIENTS)
