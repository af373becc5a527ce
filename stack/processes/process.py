"""What there is to know of a process of the stack."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from stack.processes.supervisor import Program

Action = Callable[[], None]


def nothing() -> None:
    pass


@dataclass(frozen=True)
class Process:
    """A process of the stack: what is run, after what, and when it is ready."""

    program: Program
    # On the loopback, each by the setting that moves it elsewhere. The first is where people or clients come to.
    ports: Mapping[str, int]
    # About what it holds while nobody asks anything of it.
    memory_mb: int
    ready: Callable[[], bool]
    scheme: str = ""
    after: tuple[str, ...] = ()
    # Lets the machine have what it runs on; nothing is started before all have that.
    install: Action = nothing
    # Done before each start. May raise `CalledProcessError`, with what went wrong in its `stderr`.
    prepare: Action = nothing
    # Done once it is ready, before what comes after it is started; again at each `up`. May raise
    # `RuntimeError`, with what went wrong.
    furnish: Action = nothing
    # Done before it is stopped.
    retire: Action = nothing

    @property
    def name(self) -> str:
        return self.program.name

    @property
    def address(self) -> str:
        return f"{self.scheme}127.0.0.1:{next(iter(self.ports.values()))}"
