"""The processes of the local stack, one row each."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from compose.local import credentials, postgres
from compose.local.probes import grpc_serves, http_answers
from compose.local.settings import ROOT, Settings
from compose.local.supervisor import Program


@dataclass(frozen=True)
class Process:
    """A process of the stack: what is run, after what, and when it is ready."""

    program: Program
    # On the loopback; the setting `<NAME>_PORT` moves it elsewhere.
    port: int
    ready: Callable[[], bool]
    scheme: str = ""
    after: tuple[str, ...] = ()
    # Done before each start. May raise `CalledProcessError`, with what went wrong in its `stderr`.
    prepare: Callable[[], None] = lambda: None

    @property
    def name(self) -> str:
        return self.program.name

    @property
    def address(self) -> str:
        return f"{self.scheme}127.0.0.1:{self.port}"


def processes(settings: Settings) -> list[Process]:
    """All of them, each after those that it needs."""
    names = ("POSTGRES_PASSWORD", "AUTH_SECRET", "CATALOG_SECRET")
    secrets = credentials.kept(settings.stack_folder / "secrets.env", names)

    def address(port: int) -> str:
        return f"127.0.0.1:{port}"

    engines: list[Process] = []
    database = settings.postgres_url
    if database is None:
        data = settings.stack_folder / "data" / "postgres"
        password = secrets["POSTGRES_PASSWORD"]
        database = f"postgresql://{postgres.USER}:{password}@{address(settings.postgres_port)}/{postgres.DATABASE}"
        server = Process(
            Program("postgres", postgres.command(data, settings.postgres_port), stop_signal="INT"),
            settings.postgres_port,
            ready=partial(postgres.accepts, settings.postgres_port),
            prepare=partial(postgres.initialise, data, password),
        )
        engines.append(server)

    def service(name: str, port: int, **environment: str) -> Process:
        prefix = name.upper()
        environment |= {
            f"{prefix}_LISTEN": address(port),
            f"{prefix}_DATABASE_URL": database,
            "MESH_AUTH_ADDRESS": address(settings.auth_port),
        }
        return Process(
            Program(name, python(f"services.{name}"), environment),
            port,
            ready=partial(grpc_serves, port),
            after=tuple(engine.name for engine in engines),
            prepare=partial(migrate, name, environment, settings.logs / f"{name}.log"),
        )

    services = [
        service("auth", settings.auth_port, AUTH_SECRET=secrets["AUTH_SECRET"], AUTH_SERVICE_SECRETS="{}"),
        service("catalog", settings.catalog_port, CATALOG_SECRET=secrets["CATALOG_SECRET"]),
    ]
    gateway = Process(
        Program(
            "gateway",
            python("gateway"),
            {
                "GATEWAY_LISTEN": address(settings.gateway_port),
                **{f"GATEWAY_{service.name.upper()}_ADDRESS": address(service.port) for service in services},
            },
        ),
        settings.gateway_port,
        ready=partial(http_answers, settings.gateway_port, "/healthz"),
        scheme="http://",
    )
    return [*engines, *services, gateway]


def python(module: str) -> list[str]:
    """Runs a module of ours until it gets SIGTERM or who started it is gone."""
    return ["setpriv", "--pdeathsig=TERM", "--", sys.executable, "-m", module]


def migrate(service: str, environment: Mapping[str, str], log: Path) -> None:
    """Brings a service's tables to what its code expects."""
    command = [sys.executable, "-m", "mesh.migrate", service]
    with log.open("a") as output:
        subprocess.run(command, check=True, cwd=ROOT, env=os.environ | environment, stdout=output, stderr=subprocess.PIPE, text=True)
