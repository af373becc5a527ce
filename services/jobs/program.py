"""A program that a worker has begun: whether it still runs, and what it says."""

import asyncio
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import Mapping
from contextlib import suppress
from os import killpg
from pathlib import Path
from signal import SIGKILL
from typing import Self


class Program:
    """A program under way, and all that it has begun in its turn."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._lines: list[str] = []
        self._reading = asyncio.create_task(self._read())
        # What it said last, and what it said last of all that went wrong.
        self.last_line = ""
        self.complaint = ""

    @classmethod
    async def begin(cls, *command: str, environment: Mapping[str, str], folder: Path | None = None) -> Self:
        """Begins it, in a session of its own, so that nothing of it outlives its end by `kill`."""
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            limit=_LINE_BYTES,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
        return cls(process)

    @property
    def running(self) -> bool:
        return not self._reading.done()

    @property
    def exit_code(self) -> int | None:
        """Below zero, the signal that ended it. None while it runs."""
        return self._process.returncode

    def said(self) -> list[str]:
        """The lines that it wrote since the last call."""
        lines, self._lines = self._lines, []
        return lines

    async def kill(self) -> None:
        """Returns when it is gone."""
        if self.running:
            with suppress(ProcessLookupError):
                killpg(self._process.pid, SIGKILL)
        await self._reading

    async def _read(self) -> None:
        if self._process.stdout is None:
            raise RuntimeError("the output is read")
        async for line in self._process.stdout:
            text = line.decode(errors="replace").rstrip()
            self._lines.append(text)
            self.last_line = text or self.last_line
            if "Exception" in text or "Error" in text:
                self.complaint = text
        await self._process.wait()


# The longest line that is taken.
_LINE_BYTES = 1024 * 1024
