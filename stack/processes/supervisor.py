"""Supervisord, which keeps the processes running: its configuration, and the calls it takes on its socket."""

import os
import shlex
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import SupervisorTransport

# A path longer than this does not fit into a socket's address.
LONGEST_SOCKET_PATH = 107


@dataclass(frozen=True)
class Program:
    """A command to keep running."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str = "TERM"


class Supervisor:
    """The supervisord of one folder. It keeps its log, and one for each program, in another."""

    def __init__(self, folder: Path, logs: Path) -> None:
        self.logs = logs
        self._configuration = folder / "supervisord.conf"
        self._socket = folder / "supervisord.sock"
        if len(str(self._socket)) > LONGEST_SOCKET_PATH:
            sys.exit(f"The path {self._socket} is too long for a socket: let STACK_FOLDER name a shorter folder.")
        self._transport = SupervisorTransport(None, None, serverurl=f"unix://{self._socket}")
        self._calls: Any = xmlrpc.client.ServerProxy("http://localhost", transport=self._transport).supervisor

    def running(self) -> bool:
        try:
            self._calls.getState()
        except OSError:
            self._transport.close()
            return False
        return True

    def know(self, programs: Sequence[Program], names: Collection[str]) -> None:
        """Starts supervisord if it is away. It then knows these programs and no others.

        Of those that have changed, the ones of these names are stopped, and the rest run on as they were.
        """
        self.logs.mkdir(parents=True, exist_ok=True)
        self._configuration.touch(mode=0o600)
        self._configuration.write_text(self._described(programs))
        if not self.running():
            subprocess.run([Path(sys.executable).with_name("supervisord"), "-c", self._configuration], check=True)
            while not self.running():
                time.sleep(0.02)
            return
        [[added, changed, removed]] = self._calls.reloadConfig()
        changed = [name for name in changed if name in names]
        # Who calls others ends before them.
        for name in [*reversed(changed), *removed]:
            self.stop(name)
            self._calls.removeProcessGroup(name)
        for name in added + changed:
            self._calls.addProcessGroup(name)

    def names(self) -> list[str]:
        """The programs that it knows, in the order in which they were described."""
        return [program["name"] for program in sorted(self._calls.getAllConfigInfo(), key=itemgetter("group_prio"))]

    def states(self) -> dict[str, str]:
        """By name: STOPPED, STARTING, RUNNING, BACKOFF, STOPPING, EXITED or FATAL."""
        return {process["name"]: process["statename"] for process in self._calls.getAllProcessInfo()}

    def pids(self) -> dict[str, int]:
        """Of the processes that live."""
        return {process["name"]: process["pid"] for process in self._calls.getAllProcessInfo() if process["pid"]}

    def start(self, name: str) -> None:
        """Returns before it is ready, or even alive."""
        self._calls.startProcess(name, False)

    def stop(self, name: str) -> None:
        """Returns when it is gone."""
        if self.states()[name] not in ("STOPPED", "FATAL"):
            self._calls.stopProcess(name)

    def shut_down(self) -> None:
        """Stops the programs, the last first, and returns when supervisord is gone."""
        pid: int = self._calls.getPID()
        self._calls.shutdown()
        while Path(f"/proc/{pid}").exists():
            time.sleep(0.02)

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def _described(self, programs: Sequence[Program]) -> str:
        sections: dict[str, dict[str, object]] = {
            "unix_http_server": {"file": self._socket, "chmod": "0600"},
            "rpcinterface:supervisor": {"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"},
            "supervisord": {
                "logfile": self.logs / "supervisord.log",
                "pidfile": self._socket.with_suffix(".pid"),
                "umask": "077",
                **({"user": "root"} if os.geteuid() == 0 else {}),
            },
        }
        for place, program in enumerate(programs):
            sections[f"program:{program.name}"] = {
                "command": shlex.join(program.command),
                "environment": ",".join(f"{name}={quoted(value)}" for name, value in program.environment.items()),
                "priority": place,
                "autostart": "false",
                "autorestart": "true",
                "startretries": 1000,
                "stopsignal": program.stop_signal,
                "stopwaitsecs": 30,
                "killasgroup": "true",
                "redirect_stderr": "true",
                "stdout_logfile": self.log(program.name),
                "stdout_logfile_maxbytes": "20MB",
                "stdout_logfile_backups": 1,
            }
        return "\n".join(
            f"[{section}]\n" + "".join(f"{name}={str(value).replace('%', '%%')}\n" for name, value in lines.items())
            for section, lines in sections.items()
        )


def quoted(value: str) -> str:
    """The value as supervisord reads it: between quotes that it has none of itself, since none can be escaped."""
    quote = "'" if '"' in value else '"'
    if quote in value:
        raise ValueError("a program cannot be told of a value with both kinds of quotes")
    return f"{quote}{value}{quote}"
