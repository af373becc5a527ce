"""Servers as processes: started, pinned to a core, and asked what they have used."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psutil


@contextmanager
def serving(command: list[str], address: str, environment: Mapping[str, str] | None = None, core: int | None = None) -> Iterator[int]:
    """A server for the length of a `with` block: its process id. `core` is where it and all that it starts may run."""
    pinned = command if core is None else ["taskset", "--cpu-list", str(core), *command]
    with subprocess.Popen(pinned, env=os.environ | (environment or {})) as process:
        try:
            wait_listening(process, address)
            yield process.pid
        finally:
            process.terminate()


def wait_listening(process: "subprocess.Popen[bytes]", address: str) -> None:
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
    """What a process and those that it started have used so far, in their own code and in the kernel."""
    process = psutil.Process(pid)
    times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    return sum(time.user + time.system for time in times)


def resident_megabytes(pid: int) -> float:
    """The memory of a process and of those that it started, what they share counted once."""
    process = psutil.Process(pid)
    return sum(each.memory_full_info().pss for each in (process, *process.children(recursive=True))) / 1e6
