"""Builds the console, unless it is built of the present sources: python -m stack.console

With `dev`, serves it for development instead, against the running stack.
"""

import fcntl
import hashlib
import subprocess
import sys

from clients.build import NODE, NPM_CI, Client
from stack.install import ROOT
from stack.settings import Settings

FOLDER = ROOT / "console"
BUILT = FOLDER / "dist"
CONSOLE = Client(
    "The console",
    FOLDER,
    NODE,
    FOLDER / "src" / "gen",
    committed=False,
    generator=("npm", "run", "--silent", "generate"),
    plugins=(NPM_CI,),
    build=(("npm", "run", "--silent", "build"),),
    example=None,
)
# The digest of the sources that were built.
_STAMP = BUILT / "sources.sha256"
# Outside of its folder, the build reads the contracts and the reader of streams.
_SHARED = (ROOT / "clients" / "openapi.json", ROOT / "clients" / "typescript" / "web" / "src" / "streams.ts")


def build() -> str:
    """Builds the console if it is missing or stale. Returns why it could not be built; empty if it is."""
    with (FOLDER / "package.json").open() as lock:
        # One at a time: stacks beside each other have one checkout.
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _build()


def serve() -> None:
    """Serves the console for development until it is interrupted; each change of a source shows at once."""
    gateway = f"http://127.0.0.1:{Settings().gateway_port}"
    CONSOLE.install_plugins()
    for command in (CONSOLE.generator, ("npm", "run", "dev")):
        subprocess.run(command, check=True, cwd=FOLDER, env=CONSOLE.environment() | {"CONSOLE_GATEWAY": gateway})


def _build() -> str:
    digest = _sources_digest()
    if _STAMP.is_file() and _STAMP.read_text() == digest:
        return ""
    if problem := CONSOLE.problem():
        return problem
    print("set-up: build the console", flush=True)
    try:
        if not _packages_installed():
            CONSOLE.install_plugins()
        CONSOLE.compile()
    except SystemExit as error:
        return str(error)
    _STAMP.write_text(digest)
    return ""


def _packages_installed() -> bool:
    """Whether npm has installed the packages of the present lock file."""
    lock, installed = FOLDER / "package-lock.json", FOLDER / "node_modules" / ".package-lock.json"
    return installed.is_file() and installed.stat().st_mtime > lock.stat().st_mtime


def _sources_digest() -> str:
    sources = [path for path in (FOLDER / "src").rglob("*") if path.is_file() and CONSOLE.generated not in path.parents]
    own = [path for path in FOLDER.iterdir() if path.is_file()]
    digest = hashlib.sha256()
    for path in sorted((*sources, *own, *_SHARED)):
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


if __name__ == "__main__":
    if sys.argv[1:] == ["dev"]:
        if problem := CONSOLE.problem():
            sys.exit(problem)
        serve()
    elif problem := build():
        sys.exit(f"the console is not built: {problem}")
