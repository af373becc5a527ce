"""The stack as a whole: up, down, its status and its logs."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

import psutil

from compose.local.processes import Process
from compose.local.supervisor import Supervisor

# How long a process may take to be ready.
START_SECONDS = 120


def up(processes: Sequence[Process], supervisor: Supervisor) -> None:
    """Starts what does not run, each process when those that it needs are ready, and returns when all are."""
    supervisor.know([process.program for process in processes])
    already = len(supervisor.pids()) == len(processes)
    not_up: list[str] = []
    try:
        asyncio.run(bring_up_all(processes, supervisor))
    except* NotUp as failures:
        not_up = [str(failure) for failure in failures.exceptions]
    # What is raised inside of `except*` comes out as a group, with a traceback.
    if not_up:
        sys.exit("\n".join(not_up))
    print("HashiraMart is up already:" if already else "HashiraMart is up:")
    status(processes, supervisor)


def down(supervisor: Supervisor) -> None:
    """Stops everything, the last started first."""
    if not supervisor.running():
        print("HashiraMart is not running.")
        return
    for name in reversed(supervisor.names()):
        supervisor.stop(name)
        print(f"{name:12}stopped", flush=True)
    supervisor.shut_down()


def status(processes: Sequence[Process], supervisor: Supervisor) -> None:
    """Prints a line for each process."""
    pids = supervisor.pids() if supervisor.running() else {}
    print(f"{'process':12}{'state':11}{'pid':>8}{'memory':>10}  address")
    for process in processes:
        pid = pids.get(process.name)
        state = "stopped" if pid is None else "ready" if process.ready() else "not ready"
        memory = "" if pid is None else f"{memory_bytes(pid) / 1e6:.0f} MB"
        print(f"{process.name:12}{state:11}{pid or '':>8}{memory:>10}  {process.address}")


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
    os.execvpe(command[0], command, os.environ | environments[name])


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
        refuse_taken_port(process)
        print(f"{name:12}starting", flush=True)
        await prepare(process)
        supervisor.start(name)
    while not await asyncio.to_thread(process.ready):
        ended = start and supervisor.states()[name] in ("BACKOFF", "FATAL")
        if ended or time.monotonic() - began > START_SECONDS:
            supervisor.stop(name)
            lines = supervisor.log(name).read_text(errors="replace").splitlines()
            raise NotUp(f"{name} did not start: {lines[-1] if lines else 'it wrote nothing'}\nAll that it said: make logs S={name}")
        await asyncio.sleep(0.05)
    if start:
        print(f"{name:12}ready after {time.monotonic() - began:.1f} s", flush=True)
    ready[name].set()


async def prepare(process: Process) -> None:
    try:
        await asyncio.to_thread(process.prepare)
    except subprocess.CalledProcessError as error:
        lines = error.stderr.splitlines()
        told = [line for line in lines if "error" in line.lower()] or lines
        raise NotUp(f"{process.name} could not be prepared: {told[-1] if told else error}") from error


def refuse_taken_port(process: Process) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", process.port))
        except OSError as error:
            other = f"make up {process.name.upper()}_PORT=12345"
            taken = f"Port {process.port} for {process.name}: {error.strerror}."
            raise NotUp(f"{taken} Free it, or choose another, as in `{other}`.") from error


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
