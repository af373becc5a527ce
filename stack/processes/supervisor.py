"""A client of supervisord, which keeps the processes running: writes its configuration, starts it, and calls its XML-RPC API."""

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

# The longest path of a Unix socket (sun_path in unix(7)).
LONGEST_SOCKET_PATH = 107


@dataclass(frozen=True)
class Program:
    """A command that supervisord keeps running."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str = "TERM"


class Supervisor:
    """The supervisord of a stack.

    folder: of its configuration and socket
    logs: the folder of its log and those of the programs
    """

    def __init__(self, folder: Path, logs: Path) -> None:
        self.logs = logs
        self._configuration = folder / "supervisord.conf"
        self._socket = folder / "supervisord.sock"
        if len(str(self._socket)) > LONGEST_SOCKET_PATH:
            sys.exit(f"The path {self._socket} is too long for a Unix socket: set STACK_FOLDER to a folder with a shorter path.")
        self._transport = SupervisorTransport(None, None, serverurl=f"unix://{self._socket}")
        self._calls: Any = xmlrpc.client.ServerProxy("http://localhost", transport=self._transport).supervisor

    def running(self) -> bool:
        try:
            self._calls.getState()
        except OSError:
            self._transport.close()
            return False
        return True

    def configure(self, programs: Sequence[Program], restartable: Collection[str]) -> None:
        """Makes these the programs of supervisord, which is started if it does not run. Programs that are not among them are stopped.

        restartable: the names of the programs to stop if they have changed; others keep running unchanged
        """
        self.logs.mkdir(parents=True, exist_ok=True)
        self._configuration.touch(mode=0o600)
        self._configuration.write_text(self._render_configuration(programs))
        if not self.running():
            subprocess.run([Path(sys.executable).with_name("supervisord"), "-c", self._configuration], check=True)
            while not self.running():
                time.sleep(0.02)
            return
        [[added, changed, removed]] = self._calls.reloadConfig()
        changed = [name for name in changed if name in restartable]
        # A program is stopped before those that it depends on.
        for name in [*reversed(changed), *removed]:
            self.stop(name)
            self._calls.removeProcessGroup(name)
        for name in added + changed:
            self._calls.addProcessGroup(name)

    def names(self) -> list[str]:
        """The names of its programs, in the order of the last `configure`."""
        return [program["name"] for program in sorted(self._calls.getAllConfigInfo(), key=itemgetter("group_prio"))]

    def states(self) -> dict[str, str]:
        """The states by name: STOPPED, STARTING, RUNNING, BACKOFF, STOPPING, EXITED or FATAL."""
        return {process["name"]: process["statename"] for process in self._calls.getAllProcessInfo()}

    def pids(self) -> dict[str, int]:
        """The process ids of running programs, by name."""
        return {process["name"]: process["pid"] for process in self._calls.getAllProcessInfo() if process["pid"]}

    def start(self, name: str) -> None:
        """Starts a program, and does not wait until it runs."""
        self._calls.startProcess(name, False)

    def stop(self, name: str) -> None:
        """Stops a program, and returns when it has ended."""
        if self.states()[name] not in ("STOPPED", "FATAL"):
            self._calls.stopProcess(name)

    def shut_down(self) -> None:
        """Stops the programs, the last first, and supervisord; returns when it has ended."""
        pid: int = self._calls.getPID()
        self._calls.shutdown()
        while Path(f"/proc/{pid}").exists():
            time.sleep(0.02)

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def _render_configuration(self, programs: Sequence[Program]) -> str:
        sections = self._daemon_sections() | {
            f"program:{program.name}": self._program_section(program, priority) for priority, program in enumerate(programs)
        }
        return "\n".join(
            f"[{section}]\n" + "".join(f"{name}={str(value).replace('%', '%%')}\n" for name, value in lines.items())
            for section, lines in sections.items()
        )

    def _daemon_sections(self) -> dict[str, dict[str, object]]:
        return {
            "unix_http_server": {"file": self._socket, "chmod": "0600"},
            "rpcinterface:supervisor": {"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"},
            "supervisord": {
                "logfile": self.logs / "supervisord.log",
                "pidfile": self._socket.with_suffix(".pid"),
                "umask": "077",
                **({"user": "root"} if os.geteuid() == 0 else {}),
            },
        }

    def _program_section(self, program: Program, priority: int) -> dict[str, object]:
        return {
            "command": shlex.join(program.command),
            "environment": ",".join(f"{name}={quote_value(value)}" for name, value in program.environment.items()),
            "priority": priority,
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


def quote_value(value: str) -> str:
    """A value as supervisord parses it: in quotes of the kind that it does not contain, as supervisord has no escapes."""
    quote = "'" if '"' in value else '"'
    if quote in value:
        raise ValueError("supervisord cannot represent a value with both kinds of quotes")
    return f"{quote}{value}{quote}"
