"""Those who ask all the time, while something else happens."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event


@contextmanager
def asked_without_end(ask: Callable[[], str], askers: int) -> Iterator[set[str]]:
    """So many keep asking for the length of a `with` block; afterwards, what was answered. A call that fails is raised."""
    stop, seen = Event(), set[str]()

    def keep_asking() -> None:
        while not stop.is_set():
            seen.add(ask())

    with ThreadPoolExecutor(askers) as pool:
        asking = [pool.submit(keep_asking) for _ in range(askers)]
        try:
            yield seen
        finally:
            stop.set()
        for each in asking:
            each.result()
