"""Concurrent calls, for as long as something else happens."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def concurrent_calls(call: Callable[[], T], threads: int) -> Iterator[list[T]]:
    """Repeats a call in threads for the length of a `with` block; yields the list of results, which is complete afterwards.

    Raises the error of a call that fails.
    """
    stop, results = Event(), list[T]()

    def repeat() -> None:
        while not stop.is_set():
            results.append(call())

    with ThreadPoolExecutor(threads) as pool:
        running = [pool.submit(repeat) for _ in range(threads)]
        try:
            yield results
        finally:
            stop.set()
        for each in running:
            each.result()
