"""Items are written in batches, and wait while they cannot be."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import pytest
from prometheus_client import REGISTRY

from mesh.errors import Unavailable
from mesh.write_queue import WriteQueue


class Store:
    """Keeps numbers, unless it fails: once for each failure that it is given."""

    def __init__(self, *failures: Exception) -> None:
        self.batches: list[list[int]] = []
        self._failures = list(failures)

    async def write(self, numbers: Sequence[int]) -> None:
        if self._failures:
            raise self._failures.pop(0)
        self.batches.append(list(numbers))


def queue_to(store: Store, lost: list[int]) -> WriteQueue[int]:
    return WriteQueue(store.write, lost.append, interval_seconds=0.001, batch=2, limit=5)


@asynccontextmanager
async def running(queue: WriteQueue[int]) -> AsyncIterator[None]:
    """Runs a queue, and ends it as a stopping process does."""
    task = asyncio.create_task(queue.run())
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_items_are_written_in_order_and_what_is_left_at_the_end() -> None:
    store = Store()
    queue = queue_to(store, [])
    async with running(queue):
        for number in range(3):
            queue.add(number)
        async with asyncio.timeout(10):
            while len(store.batches) < 2:
                await asyncio.sleep(0.001)
        queue.add(3)
    assert store.batches == [[0, 1], [2], [3]]


@pytest.mark.parametrize("failure", [Unavailable("DATABASE_UNAVAILABLE", "away"), ZeroDivisionError("a bug"), KeyError("id")])
async def test_a_failure_of_whatever_kind_is_counted_and_loses_nothing(failure: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    labels = {"work": "Store.write"}
    before = REGISTRY.get_sample_value("periodic_work_failures_total", labels) or 0
    store = Store(failure, failure)
    queue = queue_to(store, [])
    for number in range(3):
        queue.add(number)
    async with running(queue), asyncio.timeout(10):
        while len(store.batches) < 2:
            await asyncio.sleep(0.001)
    assert store.batches == [[0, 1], [2]]
    assert REGISTRY.get_sample_value("periodic_work_failures_total", labels) == before + 2
    assert capsys.readouterr().out.count("periodic work failed") == 1


async def test_what_is_too_much_to_wait_is_lost_with_a_word() -> None:
    lost: list[int] = []
    queue = queue_to(Store(), lost)
    for number in range(7):
        queue.add(number)
    assert lost == [5, 6]


async def test_a_last_writing_that_fails_does_not_hide_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    queue = queue_to(Store(*[ZeroDivisionError("a bug")] * 1000), [])
    queue.add(1)
    async with running(queue):
        await asyncio.sleep(0.01)
    assert "the last items are not written" in capsys.readouterr().out
