"""The commands of the local stack.

python -m stack up [process ...]          starts all processes, or the named ones and their dependencies
python -m stack down                      stops all processes
python -m stack status                    prints the state of each process
python -m stack logs [process ...]        follows the logs
python -m stack demo                      starts all processes, and fills the shop with demo data, models and users
python -m stack land <file> [mapping]     lands a file of raw sales in HDFS
python -m stack run <process> <command>   runs a command with the settings and secrets of a process
python -m stack train <command>           runs a command of the training pipeline, such as `dvc repro`
python -m stack install                   installs the programs of all engines
"""

import fcntl
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dotenv import load_dotenv
from pydantic import ValidationError

from stack import console, training
from stack.engines import jars, minio
from stack.processes import control
from stack.processes.definitions import load_secrets, object_store_of, processes
from stack.processes.supervisor import Supervisor
from stack.settings import ROOT, Settings


def main(arguments: list[str]) -> None:
    # The processes inherit the environment, so that the file configures them too.
    load_dotenv(ROOT / ".env")
    settings = _load_settings()
    _prepare_folder(settings.stack_folder)
    supervisor = Supervisor(settings.stack_folder, settings.logs)
    match arguments:
        case ["install"]:
            _install_engines()
        case ["up", *names]:
            with _lock(settings.stack_folder):
                _build_console(names)
                control.up(processes(settings), names, supervisor)
        case ["down"]:
            with _lock(settings.stack_folder):
                control.down(processes(settings), supervisor)
        case ["demo"]:
            _demo(settings, supervisor)
        case ["status"]:
            control.status(processes(settings), supervisor)
        case ["logs", *names]:
            control.logs(supervisor, names)
        case ["land", file, *mapping] if len(mapping) < 2:
            options = ["--mapping", *mapping] if mapping else []
            control.run(processes(settings), "jobs-worker", [sys.executable, "-m", "spark.land", file, *options])
        case ["run", name, *command] if command:
            control.run(processes(settings), name, command)
        case ["train", *command] if command:
            _train(settings, command)
        case _:
            sys.exit(__doc__)


def _load_settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        sys.exit(
            "\n".join(f"{str(detail['loc'][0]).upper()}={detail['input']!r} is invalid: {detail['msg']}." for detail in error.errors())
        )


def _prepare_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "lock").touch()
    except OSError as error:
        sys.exit(f"Cannot write to {folder} ({error.strerror}): change its owner, or set STACK_FOLDER to another folder.")


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Holds the stack's lock, so that `up` and `down` run one at a time."""
    with (folder / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _install_engines() -> None:
    """Installs the programs of all engines, including those that the settings do not choose: the tests run on all."""
    for install in (minio.install_program, jars.install_daemons, jars.install_s3a):
        install()


def _build_console(names: Sequence[str]) -> None:
    """Builds the console if the gateway is to be started. Without it, the stack goes on."""
    if (not names or "gateway" in names) and (problem := console.build()):
        print(f"The console is not built: {problem}. `make console-build` tries again.", flush=True)


def _demo(settings: Settings, supervisor: Supervisor) -> None:
    with _lock(settings.stack_folder):
        _build_console([])
        control.up(processes(settings), [], supervisor)
    # A separate program, as its imports are slow.
    control.execute([sys.executable, "-m", "stack.demo"], {})


def _train(settings: Settings, command: list[str]) -> None:
    store = object_store_of(settings)
    training.configure(settings, store)
    control.execute(command, training.environment(settings, store) | training.secret_environment(load_secrets(settings)))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit("Interrupted; run the same command again to continue.")
