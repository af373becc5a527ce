"""The commands: `python -m compose.local up`, `down`, `status`, `logs` or `logs <process>`."""

import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from compose.local import stack
from compose.local.processes import processes
from compose.local.settings import Settings
from compose.local.supervisor import Supervisor


def main(arguments: list[str]) -> None:
    try:
        settings = Settings()
        supervisor = Supervisor(settings.stack_folder)
        match arguments:
            case ["up"]:
                with alone_in(settings.stack_folder):
                    stack.up(processes(settings), supervisor)
            case ["down"]:
                with alone_in(settings.stack_folder):
                    stack.down(supervisor)
            case ["status"]:
                stack.status(processes(settings), supervisor)
            case ["logs", *names]:
                stack.logs(supervisor, names)
            case _:
                sys.exit(__doc__)
    except ValidationError as error:
        sys.exit("\n".join(f"{str(fault['loc'][0]).upper()}={fault['input']!r} will not do: {fault['msg']}." for fault in error.errors()))
    except PermissionError as error:
        sys.exit(f"{error.filename} may not be written here: make it yours, or let STACK_FOLDER name another folder.")
    except KeyboardInterrupt:
        sys.exit("Interrupted; the same command goes on from here.")


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Waits for another `up` or `down` on the same folder to end."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    main(sys.argv[1:])
