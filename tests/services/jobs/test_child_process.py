"""The output of a child process."""

import asyncio
import os

from services.jobs.child_process import MAX_LINE_BYTES, ChildProcess


def test_a_line_of_any_length_does_not_end_the_reading() -> None:
    script = f"head -c {3 * MAX_LINE_BYTES} /dev/zero | tr '\\0' x; echo; echo KeyError: 1; echo end; exit 3"

    async def run() -> ChildProcess:
        process = await ChildProcess.start("sh", "-c", script, environment=os.environ)
        while process.is_running:
            await asyncio.sleep(0.01)
        return process

    process = asyncio.run(run())
    assert (process.exit_code, process.last_error_line, process.last_line) == (3, "KeyError: 1", "end")
    assert process.take_lines()[-2:] == ["KeyError: 1", "end"]
