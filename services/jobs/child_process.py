"""Runs a program as a child process of the worker."""

import asyncio
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import Mapping
from contextlib import suppress
from os import killpg
from pathlib import Path
from signal import SIGKILL
from typing import Self

MAX_LINE_BYTES = 1024 * 1024


class ChildProcess:
    """A child process, and all the processes that it starts: they form a session of their own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._lines: list[str] = []
        self._reading = asyncio.create_task(self._read())
        self.last_line = ""
        self.last_error_line = ""

    @classmethod
    async def start(cls, *command: str, environment: Mapping[str, str], folder: Path | None = None) -> Self:
        """Starts a command.

        folder: its working directory; by default the worker's
        """
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            limit=MAX_LINE_BYTES,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
        return cls(process)

    @property
    def is_running(self) -> bool:
        """Whether it, or any process that shares its output, still runs."""
        return not self._reading.done()

    @property
    def exit_code(self) -> int | None:
        """The exit code, or the negated signal that ended it; None while it runs."""
        return self._process.returncode

    def take_lines(self) -> list[str]:
        """The lines that it has printed since the last call."""
        lines, self._lines = self._lines, []
        return lines

    async def kill(self) -> None:
        """Kills the whole session; returns when all of it has ended."""
        if self.is_running:
            with suppress(ProcessLookupError):
                killpg(self._process.pid, SIGKILL)
        await self._reading

    async def _read(self) -> None:
        if self._process.stdout is None:
            raise RuntimeError("standard output is a pipe")
        while line := await _read_line(self._process.stdout):
            text = line.decode(errors="replace").rstrip()
            self._lines.append(text)
            self.last_line = text or self.last_line
            if "Exception" in text or "Error" in text:
                self.last_error_line = text
        await self._process.wait()


async def _read_line(stream: asyncio.StreamReader) -> bytes:
    """The next line; empty at the end. A line of more than `MAX_LINE_BYTES` is shortened to its end."""
    while True:
        with suppress(ValueError):
            return await stream.readline()
