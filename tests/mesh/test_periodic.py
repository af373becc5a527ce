"""Work in the background, at intervals."""

import asyncio
from contextlib import suppress
from functools import partial
from itertools import count

import grpc.aio
import pytest

from mesh import periodic
from mesh.errors import Unavailable
from mesh.periodic import run_periodically


class Work:
    """Counts its runs, some of which fail."""

    def __init__(self, failures: dict[int, Exception] | None = None) -> None:
        self.run_count = 0
        self._failures = failures or {}

    async def run(self) -> None:
        self.run_count += 1
        if failure := self._failures.get(self.run_count):
            raise failure


async def cancelled_when(work: Work, run_count: int, task: asyncio.Task[None]) -> None:
    async with asyncio.timeout(10):
        while work.run_count < run_count:
            await asyncio.sleep(0.001)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_work_is_repeated_until_cancelled() -> None:
    work = Work()
    await cancelled_when(work, 5, asyncio.create_task(run_periodically(work.run, 0.001)))


async def test_an_outage_is_logged_once_and_does_not_end_the_work(capsys: pytest.CaptureFixture[str]) -> None:
    rpc_error = grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(), "connection refused")
    work = Work({1: Unavailable("DATABASE", "away"), 2: Unavailable("DATABASE", "away"), 3: rpc_error})
    await cancelled_when(work, 5, asyncio.create_task(run_periodically(partial(work.run), 0.001)))
    output = capsys.readouterr().out
    assert output.count("periodic work failed") == 2
    assert output.count("error=away") == 1
    assert "UNAVAILABLE: connection refused" in output


async def test_a_bug_is_logged_with_its_traceback_and_does_not_end_the_work(capsys: pytest.CaptureFixture[str]) -> None:
    work = Work({1: ZeroDivisionError("no days"), 2: ZeroDivisionError("no days")})
    await cancelled_when(work, 4, asyncio.create_task(run_periodically(work.run, 0.001)))
    output = capsys.readouterr().out
    assert output.count("periodic work failed") == 1
    assert "Traceback" in output and "raise failure" in output


async def test_wake_starts_the_next_run_before_the_interval_has_passed() -> None:
    wake = asyncio.Event()
    work = Work()
    task = asyncio.create_task(run_periodically(work.run, 3600, wake))
    for _ in count():
        wake.set()
        await asyncio.sleep(0)
        if work.run_count == 5:
            break
    await cancelled_when(work, 5, task)


async def test_work_that_keeps_failing_is_tried_less_and_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def wait(_wake: asyncio.Event, seconds: float) -> None:
        waits.append(seconds)
        await asyncio.sleep(0)

    monkeypatch.setattr(periodic, "_wait", wait)
    work = Work({number: ZeroDivisionError("a bug") for number in range(1, 6)})
    await cancelled_when(work, 7, asyncio.create_task(run_periodically(work.run, 1)))
    assert waits[:6] == [2, 4, 5, 5, 5, 1]
