"""The stack under trial: one of its own, with two replicas of each service, for the length of a run."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

from chaos.clocks import Clocks
from stack import ports
from stack.demo.client import Account
from stack.engines import postgres
from stack.processes.definitions import load_secrets, processes
from stack.processes.process import Process
from stack.processes.service_processes import REPLICA_PORTS
from stack.processes.supervisor import Supervisor
from stack.settings import ROOT, Settings

ADMIN = Account("admin@example.com", "correct horse battery")
REPLICAS = 2
LEASE_SECONDS = 5
# PostgreSQL's own files take 120 MB.
DISK_BYTES = 300_000_000
SALES_DAYS = 60
READY_SECONDS = 300
POLL_SECONDS = 0.05
# All calls of a run come from few users.
ENVIRONMENT = {"REPLICAS": str(REPLICAS), "GATEWAY_REQUESTS_PER_SUBJECT": "0", "JOBS_LEASE_SECONDS": str(LEASE_SECONDS)}
FIRST_PORT, LAST_PORT = 15_000, 30_000


class TrialStack:
    """A running stack."""

    def __init__(self, settings: Settings, own_disk: bool) -> None:
        self.settings = settings
        self.own_disk = own_disk
        """Whether PostgreSQL's data are on a small disk of their own."""
        self.supervisor = Supervisor(settings.stack_folder, settings.logs)
        self.processes: dict[str, Process] = {process.name: process for process in processes(settings)}
        self.clocks = Clocks(settings.stack_folder / "clocks")

    @property
    def gateways(self) -> list[str]:
        return [f"http://127.0.0.1:{self.settings.gateway_port + index * REPLICA_PORTS}" for index in range(REPLICAS)]

    @property
    def database_url(self) -> str:
        return postgres.url(self.settings.postgres_port, load_secrets(self.settings)["POSTGRES_PASSWORD"])

    @property
    def postgres_folder(self) -> Path:
        return self.settings.data / "postgres"

    def control_clocks(self) -> None:
        """Starts the services again, with clocks that can be set."""
        controlled = [self.clocks.control(process) for process in self.processes.values()]
        changed = [process.name for process in controlled if process is not self.processes[process.name]]
        self.supervisor.configure([process.program for process in controlled], changed)
        for name in changed:
            self.supervisor.start(name)
        for name in changed:
            self.wait_ready(name)

    def wait_ready(self, name: str) -> float:
        """Waits until a process can be used, and returns for how long."""
        began = time.monotonic()
        while not self.processes[name].ready():
            if time.monotonic() - began > READY_SECONDS:
                raise TimeoutError(f"{name} is not ready after {READY_SECONDS} s; its log is {self.supervisor.log(name)}")
            time.sleep(POLL_SECONDS)
        return time.monotonic() - began


@contextmanager
def trial_stack(folder: Path) -> Iterator[TrialStack]:
    """A stack in this folder, which is emptied before. It has the account `ADMIN` and raw sales."""
    settings = _settings(folder)
    _unmount_disk(settings)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = _Command(settings)
    disk = _mount_disk(settings)
    try:
        command.run("up")
        create = [sys.executable, "-m", "services.auth.admin", "create-admin", "--email", ADMIN.email]
        command.run("run", "auth", *create, text=f"{ADMIN.password}\n")
        command.run("land", str(_write_sales(folder / "sales.csv")))
        stack = TrialStack(settings, disk)
        stack.control_clocks()
        yield stack
    finally:
        command.run("down")
        _unmount_disk(settings)


class _Command:
    """The stack's own commands."""

    def __init__(self, settings: Settings) -> None:
        own = {name.upper(): str(value) for name, value in settings.model_dump().items() if name.endswith(("_port", "_folder"))}
        self._environment = {**os.environ, **own, **ENVIRONMENT}

    def run(self, *arguments: str, text: str = "") -> None:
        command = [sys.executable, "-m", "stack", *arguments]
        result = subprocess.run(command, check=False, cwd=ROOT, env=self._environment, input=text, capture_output=True, text=True)
        if result.returncode:
            sys.exit(f"The stack under trial: `{arguments[0]}` failed.\n{result.stdout[-2000:]}{result.stderr[-2000:]}")


def _settings(folder: Path) -> Settings:
    """Settings with a folder and ports of their own."""
    candidates = (range(first, first + REPLICAS * REPLICA_PORTS) for first in range(FIRST_PORT, LAST_PORT, REPLICA_PORTS))
    free = next(each for each in candidates if ports.are_free(each))
    return ports.settings_with_ports(folder, free[:REPLICA_PORTS], replicas=REPLICAS)


def _mount_disk(settings: Settings) -> bool:
    """Moves PostgreSQL's data to a small disk, if this process may mount one."""
    if os.geteuid() != 0:
        return False
    folder = settings.data / "postgres"
    postgres.initialise(folder, load_secrets(settings)["POSTGRES_PASSWORD"])
    filled = folder.rename(folder.with_name("postgres.filled"))
    folder.mkdir()
    options = f"size={DISK_BYTES},mode=700"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", folder], check=False, capture_output=True)
    if mounted.returncode:
        folder.rmdir()
        filled.rename(folder)
        return False
    subprocess.run(["cp", "--archive", f"{filled}/.", folder], check=True)
    shutil.rmtree(filled)
    return True


def _unmount_disk(settings: Settings) -> None:
    """Unmounts the small disk, if there is one; an interrupted run may have left it."""
    if (settings.data / "postgres").is_mount():
        subprocess.run(["umount", "--lazy", settings.data / "postgres"], check=True)


def _write_sales(file: Path) -> Path:
    header = "Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country"
    days = [date(2011, 1, 3) + timedelta(days=number) for number in range(SALES_DAYS)]
    lines = [f"{500_000 + number},2000{number % 7},Bag,2,{day} 10:00:00,1.50,1200{number % 9},France" for number, day in enumerate(days)]
    file.write_text("\n".join([header, *lines, ""]))
    return file
