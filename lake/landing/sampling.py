"""A sample of a sequence whose length is not known before."""

from typing import Generic, TypeVar

T = TypeVar("T")
SAMPLE_SIZE = 2_000


class Sample(Generic[T]):
    """Takes every n-th of what it is offered; n doubles whenever there are too many."""

    def __init__(self) -> None:
        self.taken: list[T] = []
        self._step = 1
        self._count = 0

    def offer(self, value: T) -> None:
        """Takes the value, or leaves it out."""
        if self._count % self._step == 0:
            self.taken.append(value)
            if len(self.taken) > SAMPLE_SIZE:
                self.taken = self.taken[::2]
                self._step *= 2
        self._count += 1
