"""The processes of the local stack, one row each."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from compose.local import credentials, postgres
from compose.local.probes import grpc_serves, http_answers
from compose.local.settings import Settings
from compose.local.supervisor import Program


@dataclass(frozen=True)
class Process:
    """A process of the stack: what is run, after what, and when it is ready."""

    program: Program
    port: int
    # The setting that moves the port elsewhere.
    port_setting: str
    address: str
    ready: Callable[[], bool]
    after: tuple[str, ...] = ()
    # Run to its end, once for every start, before the process is.
    prepare: Callable[[], None] | None = None

    @property
    def name(self) -> str:
        return self.program.name
