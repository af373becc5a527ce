"""The commands of the local stack.

python -m stack up [process ...]          starts all, or the named ones and those that they need
python -m stack down
python -m stack status
python -m stack logs [process ...]
python -m stack demo                       starts all, and fills the shop with the demo's data, models and people
python -m stack land <file>                puts a file of raw sales into HDFS
python -m stack run <process> <command>   runs a command with the settings and secrets of a process
python -m stack train <command>           runs a command of the training pipeline's, such as `dvc repro`
python -m stack install                   installs what every engine runs on
"""

import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dotenv import load_dotenv
from pydantic import ValidationError

from stack import training
from stack.engines import jars, minio
from stack.processes import control as stack
from stack.processes.definitions import object_store_of, processes
from stack.processes.supervisor import Supervisor
from stack.settings import ROOT, Settings


def main(arguments: list[str]) -> None:
    # What is set there reaches the processes too, so that it is where one tunes them.
    load_dotenv(ROOT / ".env")
    settings = chosen()
    folder = usable(settings.stack_folder)
    supervisor = Supervisor(folder, settings.logs)
    match arguments:
        case ["install"]:
            # Whichever of them the settings choose: the tests run on all.
            for install in (minio.install_program, jars.install_daemons, jars.install_s3a):
                install()
        case ["up", *names]:
            with alone_in(folder):
                stack.up(processes(settings), names, supervisor)
        case ["down"]:
            with alone_in(folder):
                stack.down(processes(settings), supervisor)
        case ["demo"]:
            with alone_in(folder):
                stack.up(processes(settings), [], supervisor)
            # A program of its own, since what it takes is slow to load.
            stack.execute([sys.executable, "-m", "stack.demo"], {})
        case ["status"]:
            stack.status(processes(settings), supervisor)
        case ["logs", *names]:
            stack.logs(supervisor, names)
        case ["land", file]:
            stack.run(processes(settings), "jobs-worker", [sys.executable, "-m", "spark.land", file])
        case ["run", name, *command] if command:
            stack.run(processes(settings), name, command)
        case ["train", *command] if command:
            store = object_store_of(settings)
            training.configure(settings, store)
            stack.execute(command, training.environment(settings, store))
        case _:
            sys.exit(__doc__)


def chosen() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        sys.exit("\n".join(f"{str(fault['loc'][0]).upper()}={fault['input']!r} will not do: {fault['msg']}." for fault in error.errors()))


def usable(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "lock").touch()
    except OSError as error:
        sys.exit(f"Nothing can be written to {folder} ({error.strerror}): make it yours, or let STACK_FOLDER name another.")
    return folder


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Waits for another `up` or `down` of the same stack to end."""
    with (folder / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit("Interrupted; the same command goes on from here.")
