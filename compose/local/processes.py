"""The processes of the local stack, one row each."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from compose.local import credentials, postgres
from compose.local.settings import Settings
from compose.local.supervisor import Program


@dataclass(frozen=True)
class Process:
    """A process of the stack: what is run, after what, and when it is ready."""

    program: Program
    # On the loopback, and moved elsewhere by the setting `<NAME>_PORT`.
    port: int
    ready: Callable[[], bool]
    scheme: str = "grpc"
    after: tuple[str, ...] = ()
    # Done before every start.
    prepare: Callable[[], None] = lambda: None

    @property
    def name(self) -> str:
        return self.program.name

    @property
    def address(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"


def processes(settings: Settings) -> list[Process]:
    """All of them, each after those that it needs."""
    secrets = credentials.kept(settings.stack_folder / "secrets.env", ["POSTGRES_PASSWORD"])
    own_database = f"postgresql://{postgres.USER}:{secrets['POSTGRES_PASSWORD']}@127.0.0.1:{settings.postgres_port}/{postgres.DATABASE}"
    database = settings.postgres_url or own_database
    data = settings.stack_folder / "data" / "postgres"
    engines = [
        Process(
            Program("postgres", postgres.command(data, settings.postgres_port), stop_signal="INT"),
            settings.postgres_port,
            ready=partial(postgres.accepts, settings.postgres_port),
            scheme="postgresql",
            prepare=partial(postgres.initialise, data, secrets["POSTGRES_PASSWORD"]),
        )
    ]
    return engines
