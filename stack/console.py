"""Builds the console, unless it is built of the present sources: python -m stack.console

With `dev`, serves it for development instead, against the running stack. With `check`, checks its types and runs its unit tests, if its
packages are installed.
"""

import fcntl
import hashlib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from clients.build import NPM_CI, Client, Tool
from stack.install import ROOT
from stack.settings import Settings

FOLDER = ROOT / "console"
BUILT = FOLDER / "dist"
CONSOLE = Client(
    "The console",
    FOLDER,
    (Tool("node", (22, 19)), Tool("npm", (9, 0))),
    FOLDER / "src" / "gen",
    committed=False,
    generator=("npm", "run", "--silent", "generate"),
    plugins=(NPM_CI,),
    build=(("npm", "run", "--silent", "build"),),
    example=None,
)
_CHECK = ("npm", "run", "--silent", "check")
# The digests of the sources that were built, and of those that passed the check.
_BUILT_STAMP = BUILT / "sources.sha256"
_CHECKED_STAMP = FOLDER / "node_modules" / ".checked.sha256"
# Outside of its folder, the build reads the contracts.
_CONTRACTS = ROOT / "clients" / "openapi.json"


def build() -> str:
    """Builds the console if it is missing or stale. Returns why it could not be built; empty if it is."""
    with _lock():
        return _build()


def check() -> str:
    """Checks types and runs the unit tests, unless these sources have passed before. Returns what is wrong; empty if nothing is."""
    with _lock():
        digest = _sources_digest()
        if _CHECKED_STAMP.is_file() and _CHECKED_STAMP.read_text() == digest:
            return ""
        if problem := CONSOLE.problem():
            return problem
        result = subprocess.run(_CHECK, check=False, cwd=FOLDER, env=CONSOLE.environment(), capture_output=True, text=True)
        if result.returncode:
            return result.stdout + result.stderr
        _CHECKED_STAMP.write_text(digest)
        return ""


def packages_installed() -> bool:
    """Whether npm has installed the packages of the present lock file."""
    lock, installed = FOLDER / "package-lock.json", FOLDER / "node_modules" / ".package-lock.json"
    return installed.is_file() and installed.stat().st_mtime > lock.stat().st_mtime


def serve() -> None:
    """Serves the console for development until it is interrupted; each change of a source shows at once."""
    gateway = f"http://127.0.0.1:{Settings().gateway_port}"
    CONSOLE.install_plugins()
    for command in (CONSOLE.generator, ("npm", "run", "dev")):
        subprocess.run(command, check=True, cwd=FOLDER, env=CONSOLE.environment() | {"CONSOLE_GATEWAY": gateway})


@contextmanager
def _lock() -> Iterator[None]:
    """One at a time: stacks beside each other have one checkout."""
    with (FOLDER / "package.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build() -> str:
    digest = _sources_digest()
    if _BUILT_STAMP.is_file() and _BUILT_STAMP.read_text() == digest:
        return ""
    if problem := CONSOLE.problem():
        return problem
    print("set-up: build the console", flush=True)
    try:
        if not packages_installed():
            CONSOLE.install_plugins()
        CONSOLE.compile()
    except SystemExit as error:
        return str(error)
    _BUILT_STAMP.write_text(digest)
    return ""


def _sources_digest() -> str:
    sources = [path for path in (FOLDER / "src").rglob("*") if path.is_file() and CONSOLE.generated not in path.parents]
    own = [path for path in FOLDER.iterdir() if path.is_file()]
    digest = hashlib.sha256()
    for path in sorted((*sources, *own, _CONTRACTS)):
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


if __name__ == "__main__":
    if sys.argv[1:] == ["dev"]:
        if problem := CONSOLE.problem():
            sys.exit(problem)
        serve()
    elif sys.argv[1:] == ["check"]:
        if not packages_installed():
            print("the console's packages are not installed, so it is not checked: make console-build", file=sys.stderr)
        elif problem := check():
            sys.exit(f"the console: {problem}")
    elif problem := build():
        sys.exit(f"the console is not built: {problem}")
