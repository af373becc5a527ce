"""The stack as a whole: up, down, its status and its logs."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from stack import install
from stack.processes.process import Process, nothing
from stack.processes.supervisor import Supervisor

# How long a process may take to be ready, while others start beside it.
START_SECONDS = 300
# What data, logs and an application's leavings may come to before one sees to them.
SPACE_BYTES = 3_000_000_000


def up(processes: Sequence[Process], names: Sequence[str], supervisor: Supervisor) -> None:
    """Starts those of these processes that do not run as they should, each when those that it needs are ready, and returns when all are.

    Without names, all of them; otherwise the named ones, and those that they need.
    """
    wanted = with_needs(processes, names) if names else processes
    supervisor.know([process.program for process in processes], [process.name for process in wanted])
    not_up: list[str] = []
    try:
        states = supervisor.states()
        away = [process for process in wanted if states[process.name] in ("STOPPED", "FATAL")]
        refuse_small_machine(away, supervisor.logs)
        for process in away:
            refuse_taken_ports(process)
        for process in away:
            process.install()
        asyncio.run(bring_up_all(wanted, supervisor))
    except* NotUp as failures:
        not_up = [str(failure) for failure in failures.exceptions]
    # What is raised inside of `except*` comes out as a group, with a traceback.
    if not_up:
        sys.exit("\n".join(not_up))
    print("HashiraMart is up:" if away else "HashiraMart is up already:")
    status(processes, supervisor)


def down(processes: Sequence[Process], supervisor: Supervisor) -> None:
    """Stops everything, the last started first."""
    if not supervisor.running():
        print("HashiraMart is not running.")
        return
    retire = {process.name: process.retire for process in processes}
    for name in reversed(supervisor.names()):
        retire.get(name, nothing)()
        supervisor.stop(name)
        print(f"{name:16}stopped", flush=True)
    supervisor.shut_down()


def status(processes: Sequence[Process], supervisor: Supervisor) -> None:
    """Prints a line for each process."""
    pids = supervisor.pids() if supervisor.running() else {}
    print(f"{'process':16}{'state':11}{'pid':>8}{'memory':>10}  address")
    for process in processes:
        pid = pids.get(process.name)
        state = "stopped" if pid is None else "ready" if process.ready() else "not ready"
        memory = "" if pid is None else f"{memory_bytes(pid) / 1e6:.0f} MB"
        print(f"{process.name:16}{state:11}{pid or '':>8}{memory:>10}  {process.address}")


def logs(supervisor: Supervisor, names: Sequence[str]) -> None:
    """Follows the logs of these processes, or of all, until interrupted."""
    written = {path.stem: path for path in sorted(supervisor.logs.glob("*.log"))}
    if unknown := [name for name in names if name not in written]:
        sys.exit(f"Nothing called {unknown[0]} has written a log; these have: {', '.join(written) or 'none'}.")
    os.execvp("tail", ["tail", "--lines=100", "-F", *(str(written[name]) for name in names or written)])


def run(processes: Sequence[Process], name: str, command: list[str]) -> None:
    """Runs a command with the settings and secrets of a process."""
    environments = {process.name: process.program.environment for process in processes}
    if name not in environments:
        sys.exit(f"There is no process {name}; there are {', '.join(environments)}.")
    execute(command, environments[name])


def execute(command: list[str], environment: Mapping[str, str]) -> None:
    """Becomes this command, with more in its environment."""
    os.execvpe(command[0], command, os.environ | environment)


def with_needs(processes: Sequence[Process], names: Sequence[str]) -> list[Process]:
    """The processes of these names, and those that they need."""
    if unknown := set(names).difference(process.name for process in processes):
        sys.exit(f"There is no process {min(unknown)}; there are {', '.join(process.name for process in processes)}.")
    needed = set(names)
    # Each stands after those that it needs.
    for process in reversed(processes):
        if process.name in needed:
            needed.update(process.after)
    return [process for process in processes if process.name in needed]


class NotUp(Exception):
    """A process is not up, and this is why."""


async def bring_up_all(processes: Sequence[Process], supervisor: Supervisor) -> None:
    ready = {process.name: asyncio.Event() for process in processes}
    async with asyncio.TaskGroup() as tasks:
        for process in processes:
            tasks.create_task(bring_up(process, supervisor, ready))


async def bring_up(process: Process, supervisor: Supervisor, ready: Mapping[str, asyncio.Event]) -> None:
    for name in process.after:
        await ready[name].wait()
    name, began = process.name, time.monotonic()
    start = supervisor.states()[name] in ("STOPPED", "FATAL")
    if start:
        print(f"{name:16}starting", flush=True)
        await prepare(process)
        supervisor.start(name)
    while not await asyncio.to_thread(process.ready):
        ended = start and supervisor.states()[name] in ("BACKOFF", "FATAL")
        if ended or time.monotonic() - began > START_SECONDS:
            supervisor.stop(name)
            lines = supervisor.log(name).read_text(errors="replace").splitlines()
            raise NotUp(f"{name} did not start: {lines[-1] if lines else 'it wrote nothing'}\nAll that it said: make logs S={name}")
        await asyncio.sleep(0.05)
    # Also when it ran already: whoever started it may have been interrupted before this.
    try:
        await asyncio.to_thread(process.furnish)
    except RuntimeError as error:
        raise NotUp(f"{name} could not be furnished: {error}") from error
    if start:
        print(f"{name:16}ready after {time.monotonic() - began:.1f} s", flush=True)
    ready[name].set()


async def prepare(process: Process) -> None:
    try:
        await asyncio.to_thread(process.prepare)
    except subprocess.CalledProcessError as error:
        lines = error.stderr.splitlines()
        told = [line for line in lines if "error" in line.lower()] or lines
        raise NotUp(f"{process.name} could not be prepared: {told[-1] if told else error}") from error


def refuse_small_machine(away: Sequence[Process], folder: Path) -> None:
    """Raises when these processes would not fit into what the machine has free."""
    if away:
        install.refuse_full_disk(folder, SPACE_BYTES)
    wanted, free = sum(process.memory_mb for process in away), psutil.virtual_memory().available // 1_000_000
    if wanted > free:
        raise NotUp(f"HashiraMart wants {wanted} MB of memory, and {free} MB are free: end other programs, then run the same again.")


def refuse_taken_ports(process: Process) -> None:
    """Raises when somebody else has a port of this process."""
    for setting, port in process.ports.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                taken = f"Port {port} for {process.name}: {error.strerror}."
                raise NotUp(f"{taken} Free it, or choose another, as in `make up {setting}=12345`.") from error


def memory_bytes(pid: int) -> int:
    """What a process and its children hold, a page that several share counted once."""
    total = 0
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for member in [process, *process.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                try:
                    total += member.memory_full_info().pss
                except psutil.AccessDenied:  # it is another user's: a shared page counts for each that holds it
                    total += member.memory_info().rss
    return total
