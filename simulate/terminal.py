"""What a simulation prints while it runs."""

import sys


class Terminal:
    """Prints a line for each step; on a terminal, also how far the current one has come."""

    def __init__(self) -> None:
        self._is_terminal = sys.stdout.isatty()

    def say(self, subject: str, text: str) -> None:
        """Prints a line."""
        print(f"{self._clear}{subject:16}{text}", flush=True)

    def count(self, subject: str, done: int, total: int) -> None:
        """Shows how many of a total are done, on a terminal alone."""
        if self._is_terminal:
            print(f"{self._clear}{subject:16}{done:,} of {total:,}", end="", flush=True)

    @property
    def _clear(self) -> str:
        return "\r\033[K" if self._is_terminal else ""
