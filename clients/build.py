"""Generates the code of the clients from the contracts and builds them: python -m clients.build

A language whose toolchain is not on this machine is skipped, and named. Generators are installed by each language's own package manager.
"""

import filecmp
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stack.install import CACHE, ROOT, VENV

FOLDER = ROOT / "clients"
DESCRIPTORS = ROOT / "gen" / "descriptors.binpb"

Command = tuple[str, ...]


@dataclass(frozen=True)
class Tool:
    """A program of a toolchain."""

    name: str
    minor: tuple[int, int]
    """The oldest version, major and minor, with which a client was built."""
    question: str = "--version"

    def problem(self) -> str:
        """Why it cannot be used; empty if it can."""
        path = shutil.which(self.name, path=environment()["PATH"])
        if path is None:
            return f"there is no {self.name} on PATH"
        output = subprocess.run([path, *self.question.split()], check=False, capture_output=True, text=True, cwd="/")
        version = re.search(r"(\d+)\.(\d+)", output.stdout + output.stderr)
        if version is None or (int(version[1]), int(version[2])) < self.minor:
            found = version[0] if version else "of an unknown version"
            return f"{self.name} is {found}, and {self.minor[0]}.{self.minor[1]} or newer is needed"
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
    plugins: tuple[Command, ...]
    """Install the generators."""
    build: tuple[Command, ...]
    example: Command
    """Prints the outcome of a walk through the services."""

    def problem(self) -> str:
        """Why it cannot be built on this machine; empty if it can."""
        return "; ".join(filter(None, (tool.problem() for tool in self.tools)))

    def install_plugins(self) -> None:
        for command in self.plugins:
            run(command, self.folder)

    def generate(self, into: Path) -> Path:
        """Writes the generated code of the contracts below another root than the project's, and returns its folder there."""
        fresh = into / self.generated.relative_to(ROOT)
        if (template := self.folder / "buf.gen.yaml").exists():
            buf = str(VENV / "bin" / "buf")
            run((buf, "generate", "--template", str(template.relative_to(ROOT)), "--output", str(into)), ROOT)
        else:
            run(("cargo", "run", "--quiet", "--locked", "--package", "generate", "--", str(DESCRIPTORS), str(fresh)), self.folder)
        return fresh

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
        for command in self.build:
            run(command, self.folder)


CLIENTS = (
    Client(
        "Go",
        FOLDER / "go",
        (Tool("go", (1, 26), "version"),),
        FOLDER / "go" / "gen",
        committed=True,
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
        plugins=(),
        build=(("cargo", "build", "--quiet", "--locked", "--examples"),),
        example=("cargo", "run", "--quiet", "--locked", "--example", "walk"),
    ),
    Client(
        "TypeScript",
        FOLDER / "typescript" / "node",
        (Tool("node", (20, 0)), Tool("npm", (9, 0))),
        FOLDER / "typescript" / "node" / "src" / "gen",
        committed=True,
        plugins=(("npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"),),
        build=(("npm", "run", "--silent", "build"),),
        example=("node", "dist/example.js"),
    ),
)


def environment() -> Mapping[str, str]:
    """The environment of the commands: Go from its wheel if there is no other, and Rust's large build folder outside of the checkout."""
    return {
        **os.environ,
        "PATH": f"{os.environ['PATH']}:{VENV / 'bin'}",
        "CARGO_TARGET_DIR": os.environ.get("CARGO_TARGET_DIR") or str(CACHE / "clients-rust"),
    }


def run(command: Command, folder: Path) -> None:
    """Runs a command, whose output is shown. Exits with a message if it fails."""
    if subprocess.run(command, check=False, cwd=folder, env=environment(), stdout=sys.stderr).returncode:
        sys.exit(f"`{' '.join(command)}` failed in {folder.relative_to(ROOT.parent)}; the lines above say why.")


def same_files(left: Path, right: Path) -> bool:
    """Whether two folders hold the same files with the same content."""
    names = [{str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} for folder in (left, right)]
    return names[0] == names[1] and filecmp.cmpfiles(left, right, names[0], shallow=False)[1:] == ([], [])


def main() -> None:
    for client in CLIENTS:
        if problem := client.problem():
            print(f"{client.language}: skipped, {problem}", flush=True)
            continue
        client.install_plugins()
        changed = client.refresh()
        client.compile()
        print(f"{client.language}: {'generated anew and built' if changed else 'built'}", flush=True)


if __name__ == "__main__":
    main()
