"""A process of the stack, with its dependencies and lifecycle hooks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from stack.processes.supervisor import Program

Action = Callable[[], None]


def do_nothing() -> None:
    pass


@dataclass(frozen=True)
class Process:
    """A process of the stack, with its dependencies and lifecycle hooks."""

    program: Program
    ports: Mapping[str, int]
    """Ports on the loopback, by the setting that changes them. The first is the one for users or clients."""
    memory_mb: int
    """The approximate memory of the idle process."""
    ready: Callable[[], bool]
    """Whether it can be used."""
    scheme: str = ""
    """Of its address, such as `http://`."""
    after: tuple[str, ...] = ()
    """The names of the processes that have to be ready before it starts."""
    install: Action = do_nothing
    """Installs what it needs on the machine. Runs for all processes before any of them starts."""
    prepare: Action = do_nothing
    """Runs before each start. May raise `CalledProcessError` with an explanation in `stderr`."""
    post_start: Action = do_nothing
    """Runs once it is ready, before those that depend on it start, and again at each `up`. May raise `RuntimeError`."""
    pre_stop: Action = do_nothing
    """Runs before it is stopped."""

    @property
    def name(self) -> str:
        return self.program.name

    @property
    def address(self) -> str:
        return f"{self.scheme}127.0.0.1:{next(iter(self.ports.values()))}"
