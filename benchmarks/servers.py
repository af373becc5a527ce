"""Servers as processes: started, pinned to a core, and measured."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psutil


@contextmanager
def serving(command: list[str], address: str, environment: Mapping[str, str] | None = None, core: int | None = None) -> Iterator[int]:
    """Runs a server for the length of a `with` block; yields its process id.

    core: on which it and its child processes run
    """
    pinned = command if core is None else ["taskset", "--cpu-list", str(core), *command]
    with subprocess.Popen(pinned, env=os.environ | (environment or {})) as process:
        try:
            _wait_listening(process, address)
            yield process.pid
        finally:
            process.terminate()


def _wait_listening(process: "subprocess.Popen[bytes]", address: str) -> None:
    host, _, port = address.rpartition(":")
    for _ in range(300):
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
        except OSError:
            if process.poll() is not None:
                raise RuntimeError(f"{process.args!r} ended while it started; the lines above say why") from None
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(f"{process.args!r} does not listen on {address} after 30 seconds")


def cpu_seconds(pid: int) -> float:
    """The CPU time of a process and its descendants so far, in user and kernel mode."""
    process = psutil.Process(pid)
    times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    return sum(time.user + time.system for time in times)


def resident_megabytes(pid: int) -> float:
    """The memory of a process and its descendants; shared pages count once."""
    process = psutil.Process(pid)
    return sum(each.memory_full_info().pss for each in (process, *process.children(recursive=True))) / 1e6
