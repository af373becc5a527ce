"""Installs what the project needs and the machine lacks, into the project's own folders.

    python3 -m stack.install          the Python environment: .venv, from the locked requirements
    python3 -m stack.install grpcurl  grpcurl, into .local/tools/bin
    python3 -m stack.install tests    all that the tests want besides: grpcurl, curl, nginx, pgbouncer

The engines' own modules install theirs by the same means. Runs on a bare Python, so it imports nothing but the standard library.
It may be interrupted at any time and run again.
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
# What is dear to make and the same for every checkout.
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hashiramart"
# The environment is about 1 GB, and what is downloaded for it as much again.
SPACE_BYTES = 2_500_000_000
# The oldest Go that builds what we build: 1.24.
GO_MINOR = 24
GRPCURL = "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4"


def install_environment() -> None:
    """Makes .venv what requirements/dev.txt says; at once when it is so already."""
    if not (3, 11) <= sys.version_info < (3, 14):
        found = sys.version.split()[0]
        sys.exit(f"HashiraMart runs on Python 3.11 to 3.13 and this is {found}: name another, as in `make setup PYTHON=python3.11`.")
    stamp = VENV / "installed"
    # Python itself, also when this runs in the very environment that it is to replace.
    python = str(Path(sys.executable).resolve())
    wanted = f"{python}\n{hashlib.sha256((REQUIREMENTS / 'dev.txt').read_bytes()).hexdigest()}\n"
    installed = stamp.read_text() if stamp.exists() else ""
    if installed == wanted:
        return
    refuse_full_disk(ROOT, SPACE_BYTES)
    if ctypes.util.find_library("gomp") is None:
        # LightGBM's wheel wants the system's.
        install_packages("libgomp1")
    uv = installed_uv()
    stamp.unlink(missing_ok=True)
    # Without its stamp an environment was interrupted while it was made, and its packages may be halves.
    if not installed.startswith(f"{python}\n"):
        run("make .venv", [uv, "venv", "--quiet", "--clear", "--python", python, str(VENV)])
    target = ["--python", str(VENV / "bin" / "python")]
    run("install the Python packages", [uv, "pip", "sync", *target, "--require-hashes", str(REQUIREMENTS / "dev.txt")])
    project = ["--no-deps", "--no-build-isolation", "--editable", str(ROOT)]
    run("install the project itself", [uv, "pip", "install", "--quiet", *target, *project])
    stamp.write_text(wanted)


def installed_uv() -> str:
    """The path of uv, in an environment of its own below .local."""
    environment = TOOLS / "uv"
    uv = environment / "bin" / "uv"
    requirements = REQUIREMENTS / "setup.txt"
    copy = environment / "setup.txt"
    if copy.exists() and copy.read_bytes() == requirements.read_bytes():
        return str(uv)
    # Debian's Python comes without the two modules that make an environment.
    missing = [] if importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip") else ["python3-venv"]
    if not Path("/etc/ssl/certs/ca-certificates.crt").exists():
        missing.append("ca-certificates")
    install_packages(*missing)
    run("make an environment for uv", [sys.executable, "-m", "venv", "--clear", str(environment)])
    pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run("install uv", [*pip, "--require-hashes", "--requirement", str(requirements)])
    shutil.copyfile(requirements, copy)
    return str(uv)


def install_grpcurl() -> None:
    """Builds grpcurl."""
    if not (TOOLS / "bin" / "grpcurl").exists():
        run("build grpcurl", [go(), "install", "-trimpath", GRPCURL], GOBIN=str(TOOLS / "bin"), CGO_ENABLED="0")


def go() -> str:
    """The path of Go: the one on PATH if it is new enough, else the one that came as a wheel."""
    found = shutil.which("go")
    if found is not None:
        said = subprocess.run([found, "env", "GOVERSION"], check=False, capture_output=True, text=True, cwd="/").stdout
        version = re.match(r"go1\.(\d+)", said)
        if version is not None and int(version[1]) >= GO_MINOR:
            return found
    return str(VENV / "bin" / "go")


def install_test_programs() -> None:
    """Installs the programs that tests run and the machine lacks."""
    path = f"{os.environ['PATH']}:/usr/sbin"
    missing = [name for name in ("curl", "nginx", "pgbouncer") if shutil.which(name, path=path) is None]
    install_packages(*missing)
    started = [name for name in ("nginx", "pgbouncer") if name in missing]
    if started and Path("/run/systemd/system").exists():
        # Debian starts what it installs; the tests start their own.
        run(f"keep {' and '.join(started)} from running by itself", [*as_root(), "systemctl", "disable", "--quiet", "--now", *started])
    install_grpcurl()


def install_packages(*names: str) -> None:
    """Installs these Debian packages. One may be a choice: `vim | nano`."""
    if not names:
        return
    if shutil.which("apt-get") is None or (as_root() and shutil.which("sudo") is None):
        sys.exit(f"Missing on this machine: {', '.join(names)}. Install them by its package manager, then run the same again.")
    apt = [*as_root(), "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet=2"]
    run("read the package lists", [*apt, "update"])
    run(f"install {', '.join(names)}", [*apt, "satisfy", "--no-install-recommends", ", ".join(names)])


def refuse_full_disk(folder: Path, wanted_bytes: int) -> None:
    """Ends the program with one sentence when the disk that is to hold this folder has no room for so much."""
    place = next(path for path in (folder, *folder.parents) if path.exists())
    if shutil.disk_usage(place).free < wanted_bytes:
        sys.exit(f"The disk that holds {place} has less than {wanted_bytes / 1e9:.1f} GB free: make room, then run the same again.")


def as_root() -> list[str]:
    """What to put before a command that only root may run."""
    return [] if os.geteuid() == 0 else ["sudo"]


def run(purpose: str, command: list[str], **environment: str) -> None:
    """Runs a command and says so; ends the program with one sentence when it fails."""
    print(f"set-up: {purpose}", flush=True)
    if subprocess.run(command, check=False, env=os.environ | environment, stdout=subprocess.DEVNULL).returncode:
        sys.exit(f"Could not {purpose}; the lines above say why. Mend it (is there a network, and space?) and run the same again.")


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
