"""The commands on the whole stack: up, down, status and logs."""

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
from stack.processes.process import Process, do_nothing
from stack.processes.supervisor import Supervisor

# How long a process may take to become ready while others start at the same time.
START_SECONDS = 300
# Free disk space for data, logs and the files of applications.
SPACE_BYTES = 3_000_000_000
POLL_SECONDS = 0.1
# Supervisord takes some milliseconds to list the states of all programs.
STATE_POLL_SECONDS = 1
# States of a program that has to be started, and of one whose start has failed.
STOPPED = ("STOPPED", "FATAL")
FAILED = ("BACKOFF", "FATAL")


class StartError(Exception):
    """A process could not be started; the message says why."""


def up(processes: Sequence[Process], names: Sequence[str], supervisor: Supervisor) -> None:
    """Starts processes in the order of their dependencies, and returns when all are ready. Running ones are restarted if they have changed.

    processes: of the whole stack, each after its dependencies
    names: of the processes to start, along with their dependencies; all if empty
    """
    wanted = _with_dependencies(processes, names) if names else processes
    supervisor.configure([process.program for process in processes], [process.name for process in wanted])
    errors: list[str] = []
    stopped: Sequence[Process] = ()
    try:
        states = supervisor.states()
        stopped = [process for process in wanted if states[process.name] in STOPPED]
        _check_machine(stopped, supervisor.logs)
        for process in stopped:
            process.install()
        asyncio.run(_start_all(wanted, supervisor))
    except* StartError as failures:
        errors = [str(failure) for failure in failures.exceptions]
    # An exit inside of `except*` would be raised in a group, with a traceback.
    if errors:
        sys.exit("\n".join(errors))
    print("HashiraMart is up:" if stopped else "HashiraMart is up already:")
    status(processes, supervisor)


def down(processes: Sequence[Process], supervisor: Supervisor) -> None:
    """Stops all processes, the last started first."""
    if not supervisor.running():
        print("HashiraMart is not running.")
        return
    hooks = {process.name: process.pre_stop for process in processes}
    for name in reversed(supervisor.names()):
        hooks.get(name, do_nothing)()
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
        memory = "" if pid is None else f"{_memory_bytes(pid) / 1e6:.0f} MB"
        print(f"{process.name:16}{state:11}{pid or '':>8}{memory:>10}  {process.address}")


def logs(supervisor: Supervisor, names: Sequence[str]) -> None:
    """Follows the logs of these processes until interrupted; of all if there are no names."""
    files = {path.stem: path for path in sorted(supervisor.logs.glob("*.log"))}
    if unknown := [name for name in names if name not in files]:
        sys.exit(f"There is no log of {unknown[0]}; there are logs of: {', '.join(files) or 'nothing'}.")
    os.execvp("tail", ["tail", "--lines=100", "-F", *(str(files[name]) for name in names or files)])


def run(processes: Sequence[Process], name: str, command: list[str]) -> None:
    """Replaces this program by a command with the settings and secrets of a process."""
    environments = {process.name: process.program.environment for process in processes}
    if name not in environments:
        sys.exit(f"There is no process {name}; there are {', '.join(environments)}.")
    execute(command, environments[name])


def execute(command: list[str], environment: Mapping[str, str]) -> None:
    """Replaces this program by a command with additional variables in its environment."""
    os.execvpe(command[0], command, os.environ | environment)


def check_resources(stopped: Sequence[Process], folder: Path) -> None:
    """Raises `StartError` if the machine has too little free memory for these processes; exits if the folder's disk is too full."""
    if stopped:
        install.check_disk_space(folder, SPACE_BYTES)
    wanted, free = sum(process.memory_mb for process in stopped), psutil.virtual_memory().available // 1_000_000
    if wanted > free:
        raise StartError(f"HashiraMart wants {wanted} MB of memory, and {free} MB are free: end other programs, then run the same again.")


def _with_dependencies(processes: Sequence[Process], names: Sequence[str]) -> list[Process]:
    if unknown := set(names).difference(process.name for process in processes):
        sys.exit(f"There is no process {min(unknown)}; there are {', '.join(process.name for process in processes)}.")
    wanted = set(names)
    # Each process comes after its dependencies.
    for process in reversed(processes):
        if process.name in wanted:
            wanted.update(process.after)
    return [process for process in processes if process.name in wanted]


def _check_machine(stopped: Sequence[Process], folder: Path) -> None:
    check_resources(stopped, folder)
    for process in stopped:
        _check_ports(process)


def _check_ports(process: Process) -> None:
    """Raises `StartError` if another program uses a port of this process."""
    for setting, port in process.ports.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                reason = f"Port {port} for {process.name}: {error.strerror}."
                raise StartError(f"{reason} Free it, or choose another, as in `make up {setting}=12345`.") from error


async def _start_all(processes: Sequence[Process], supervisor: Supervisor) -> None:
    ready = {process.name: asyncio.Event() for process in processes}
    async with asyncio.TaskGroup() as tasks:
        for process in processes:
            tasks.create_task(_start(process, supervisor, ready))


async def _start(process: Process, supervisor: Supervisor, ready: Mapping[str, asyncio.Event]) -> None:
    """Starts a process once its dependencies are ready, unless it runs, and sets its event when it is ready."""
    for name in process.after:
        await ready[name].wait()
    name, began = process.name, time.monotonic()
    starting = supervisor.states()[name] in STOPPED
    if starting:
        print(f"{name:16}starting", flush=True)
        await _prepare(process)
        supervisor.start(name)
    looked = time.monotonic()
    while not await asyncio.to_thread(process.ready):
        now, failed = time.monotonic(), False
        if starting and now - looked > STATE_POLL_SECONDS:
            looked, failed = now, supervisor.states()[name] in FAILED
        if failed or now - began > START_SECONDS:
            supervisor.stop(name)
            lines = supervisor.log(name).read_text(errors="replace").splitlines()
            raise StartError(f"{name} did not start: {lines[-1] if lines else 'its log is empty'}\nIts whole log: make logs S={name}")
        await asyncio.sleep(POLL_SECONDS)
    # Also if the process was running: the `up` that started it may have been interrupted before this.
    try:
        await asyncio.to_thread(process.post_start)
    except RuntimeError as error:
        raise StartError(f"{name} could not be set up: {error}") from error
    if starting:
        print(f"{name:16}ready after {time.monotonic() - began:.1f} s", flush=True)
    ready[name].set()


async def _prepare(process: Process) -> None:
    try:
        await asyncio.to_thread(process.prepare)
    except subprocess.CalledProcessError as error:
        lines = error.stderr.splitlines()
        errors = [line for line in lines if "error" in line.lower()] or lines
        raise StartError(f"{process.name} could not be prepared: {errors[-1] if errors else error}") from error


def _memory_bytes(pid: int) -> int:
    """The memory of a process and its descendants; a page that several share counts once."""
    total = 0
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for member in [process, *process.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                try:
                    total += member.memory_full_info().pss
                except psutil.AccessDenied:  # a process of another user, whose shared pages can only be counted in full
                    total += member.memory_info().rss
    return total
