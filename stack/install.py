"""Installs what the project needs and the machine does not have, into the project's own folders.

    python3 -m stack.install          the Python environment: .venv, from the locked requirements
    python3 -m stack.install grpcurl  grpcurl, into .local/tools/bin
    python3 -m stack.install tests    the other programs of the tests: grpcurl, chromium, curl, nginx, pgbouncer, a Kerberos KDC

The engines' modules install their programs with the functions here. Runs before any package is installed, so it imports only the standard
library. It can be interrupted at any time and run again.
"""

import ctypes.util
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ROOT / ".local" / "tools"
VENV = ROOT / ".venv"
REQUIREMENTS = ROOT / "requirements"
# The client for Python, with the command line.
CLIENT = ROOT / "clients" / "python"
# Programs that take long to build, shared by all checkouts of a user.
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hashiramart"
# The environment takes about 1 GB, and the downloads for it as much again.
SPACE_BYTES = 2_500_000_000
# The oldest minor version of Go 1 that builds MinIO and grpcurl.
GO_MINOR = 24
# The Debian packages of the programs that tests run.
TEST_PROGRAMS = {
    "chromium": "chromium",
    "curl": "curl",
    "kadmin.local": "krb5-admin-server",
    "krb5kdc": "krb5-kdc",
    "nginx": "nginx",
    "pgbouncer": "pgbouncer",
}
GRPCURL = "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4"


def install_environment() -> None:
    """Installs requirements/dev.txt into .venv, unless that has been done."""
    if not (3, 11) <= sys.version_info < (3, 14):
        found = sys.version.split()[0]
        sys.exit(f"HashiraMart runs on Python 3.11 to 3.13 and this is {found}: name another, as in `make setup PYTHON=python3.11`.")
    stamp = VENV / "installed"
    # The system's interpreter, also when this runs in the environment that is to be replaced.
    python = str(Path(sys.executable).resolve())
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (REQUIREMENTS / "dev.txt", CLIENT / "pyproject.toml")]
    expected = "\n".join((python, *digests, ""))
    installed = stamp.read_text() if stamp.exists() else ""
    if installed == expected:
        return
    check_disk_space(ROOT, SPACE_BYTES)
    if ctypes.util.find_library("gomp") is None:
        # LightGBM's wheel does not contain OpenMP.
        install_packages("libgomp1")
    uv = _install_uv()
    stamp.unlink(missing_ok=True)
    # An environment without the stamp was interrupted, and may contain partial packages.
    if not installed.startswith(f"{python}\n"):
        run("make .venv", [uv, "venv", "--quiet", "--clear", "--python", python, str(VENV)])
    target = ["--python", str(VENV / "bin" / "python")]
    run("install the Python packages", [uv, "pip", "sync", *target, "--require-hashes", str(REQUIREMENTS / "dev.txt")])
    project = ["--no-deps", "--no-build-isolation", "--editable", str(ROOT), "--editable", str(CLIENT)]
    run("install the project itself", [uv, "pip", "install", "--quiet", *target, *project])
    stamp.write_text(expected)


def install_grpcurl() -> None:
    """Builds grpcurl, unless it is there."""
    if not (TOOLS / "bin" / "grpcurl").exists():
        run("build grpcurl", [go(), "install", "-trimpath", GRPCURL], GOBIN=str(TOOLS / "bin"), CGO_ENABLED="0")


def go() -> str:
    """The path of Go: the one on PATH if it is new enough, else the one from a wheel."""
    found = shutil.which("go")
    if found is not None:
        output = subprocess.run([found, "env", "GOVERSION"], check=False, capture_output=True, text=True, cwd="/").stdout
        version = re.match(r"go1\.(\d+)", output)
        if version is not None and int(version[1]) >= GO_MINOR:
            return found
    return str(VENV / "bin" / "go")


def install_test_programs() -> None:
    """Installs the programs that tests run, unless they are there."""
    path = f"{os.environ['PATH']}:/usr/sbin"
    missing = [package for program, package in TEST_PROGRAMS.items() if shutil.which(program, path=path) is None]
    install_packages(*missing)
    started = [package for package in missing if package not in ("chromium", "curl")]
    if started and Path("/run/systemd/system").exists():
        # Debian starts the services that it installs; the tests start their own.
        run(f"disable the system services {' and '.join(started)}", [*_as_root(), "systemctl", "disable", "--quiet", "--now", *started])
    install_grpcurl()


def install_packages(*names: str) -> None:
    """Installs Debian packages. A name may be a choice: `vim | nano`."""
    if not names:
        return
    if shutil.which("apt-get") is None or (_as_root() and shutil.which("sudo") is None):
        sys.exit(f"Missing on this machine: {', '.join(names)}. Install them by its package manager, then run the same again.")
    apt = [*_as_root(), "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet=2"]
    run("read the package lists", [*apt, "update"])
    run(f"install {', '.join(names)}", [*apt, "satisfy", "--no-install-recommends", ", ".join(names)])


def check_disk_space(folder: Path, wanted_bytes: int) -> None:
    """Exits with a message if the disk of this folder, which need not exist yet, has too little free space."""
    place = next(path for path in (folder, *folder.parents) if path.exists())
    if shutil.disk_usage(place).free < wanted_bytes:
        sys.exit(f"The disk that holds {place} has less than {wanted_bytes / 1e9:.1f} GB free: make room, then run the same again.")


def run(purpose: str, command: list[str], **environment: str) -> None:
    """Prints the purpose of a command and runs it; exits with a message if it fails."""
    print(f"set-up: {purpose}", flush=True)
    if subprocess.run(command, check=False, env=os.environ | environment, stdout=subprocess.DEVNULL).returncode:
        sys.exit(f"Could not {purpose}; the lines above say why. Mend it (is there a network, and space?) and run the same again.")


def _install_uv() -> str:
    """Installs uv into an environment of its own, unless it is there; returns its path."""
    environment = TOOLS / "uv"
    uv = environment / "bin" / "uv"
    requirements = REQUIREMENTS / "setup.txt"
    copy = environment / "setup.txt"
    if copy.exists() and copy.read_bytes() == requirements.read_bytes():
        return str(uv)
    # Debian's Python lacks the two modules that create environments.
    missing = [] if importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip") else ["python3-venv"]
    if not Path("/etc/ssl/certs/ca-certificates.crt").exists():
        missing.append("ca-certificates")
    install_packages(*missing)
    run("make an environment for uv", [sys.executable, "-m", "venv", "--clear", str(environment)])
    pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run("install uv", [*pip, "--require-hashes", "--requirement", str(requirements)])
    shutil.copyfile(requirements, copy)
    return str(uv)


def _as_root() -> list[str]:
    """The prefix of commands that only root may run."""
    return [] if os.geteuid() == 0 else ["sudo"]


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            install_environment()
        case ["grpcurl"]:
            install_grpcurl()
        case ["tests"]:
            install_test_programs()
        case _:
            sys.exit(__doc__)
